"""Settings of people: where their console runs, how they sign in, and how they are notified."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from signals.domain.access.provider_identity import parse_domains
from signals.serve_applications import ConsolePlacement
from signals.settings.base import LOOPBACK_HOSTS, EnvironmentSettings


class NotificationSettings(EnvironmentSettings):
    """How destinations are reached, and how their secrets are kept."""

    signals_secret_keys: SecretStr | None = Field(
        default=None,
        description="keys that seal the secrets of destinations, several with commas: the first seals, all "
        "open; `signals secrets new-key` prints one",
    )
    signals_notify_allow: str = Field(
        default="",
        description="networks (CIDR) and host names that messages may go to though they are not public, "
        "with commas",
    )
    signals_notify_link_url: str = Field(
        default="",
        description="where people reach the API, like `https://signals.example`, for links in messages",
    )
    signals_notify_timeout_s: float = Field(
        default=10, gt=0, le=25, description="seconds that one message may take to be sent"
    )


class ConsoleSettings(EnvironmentSettings):
    """Where the console runs."""

    signals_console: ConsolePlacement = Field(
        default="core",
        description="`core`: in core-api's replicas; `own`: in an application of its own, so that readers "
        "take nothing from the API; `none`: nowhere",
    )


class PeopleSettings(EnvironmentSettings):
    """How people sign in to the console beside one-time links."""

    signals_oidc_issuer: str = Field(
        default="",
        description="OpenID Connect provider, exactly as its metadata names it, like `https://id.example`; "
        "empty: none",
    )
    signals_oidc_client_id: str = Field(
        default="", description="needed with an issuer", validate_default=True
    )
    signals_oidc_client_secret: SecretStr | None = Field(
        default=None, description="needed with an issuer", validate_default=True
    )
    signals_oidc_name: str = Field(
        default="the company account", max_length=60, description="what the button says behind `Sign in with`"
    )
    signals_oidc_domains: str = Field(
        default="", description="with commas: only addresses of these domains come in by the provider"
    )
    signals_oidc_trust_addresses: bool = Field(
        default=False,
        description="take addresses that the provider does not call verified, where people set none",
    )
    signals_oidc_newcomer_role: Literal["none", "viewer", "responder", "admin"] = Field(
        default="none", description="role of people whom no admin has added; `none`: they are refused"
    )
    signals_oidc_newcomer_org: str = Field(
        default="",
        description="organisation that they join; needed with a role, as are the domains",
        validate_default=True,
    )
    signals_passwords: bool | None = Field(
        default=None, description="let people sign in with a password; unset: while there is no provider"
    )

    signals_proxies: int = Field(
        default=0,
        ge=0,
        le=8,
        description="proxies of your own before Serve's, each of which adds to `X-Forwarded-For`: limits of "
        "sign-ins then go by the client's address, not by a proxy's",
    )

    @field_validator("signals_oidc_issuer")
    @classmethod
    def _issuer_is_protected(cls, issuer: str) -> str:
        if issuer and urlsplit(issuer).scheme != "https" and urlsplit(issuer).hostname not in LOOPBACK_HOSTS:
            raise ValueError("write an https address; http is for the machine itself")
        return issuer

    @field_validator("signals_oidc_domains")
    @classmethod
    def _domains_can_be_read(cls, text: str) -> str:
        parse_domains(text)
        return text

    @field_validator("signals_oidc_client_id", "signals_oidc_client_secret")
    @classmethod
    def _is_given_with_an_issuer(cls, value: object, info: ValidationInfo) -> object:
        if info.data.get("signals_oidc_issuer") and not value:
            raise ValueError("an issuer needs it")
        return value

    @field_validator("signals_oidc_newcomer_org")
    @classmethod
    def _newcomers_are_bounded(cls, org_id: str, info: ValidationInfo) -> str:
        takes_any = info.data.get("signals_oidc_newcomer_role", "none") != "none"
        if takes_any and not (org_id and info.data.get("signals_oidc_domains")):
            raise ValueError("a role for newcomers needs it, and SIGNALS_OIDC_DOMAINS")
        return org_id

    @property
    def has_passwords(self) -> bool:
        """Whether people may sign in with a password."""
        return not self.signals_oidc_issuer if self.signals_passwords is None else self.signals_passwords
