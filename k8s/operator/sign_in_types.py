"""The part of a SignalsStack about people: how they sign in to the console."""

from typing import Annotated, Literal

from pydantic import Field

from k8s.operator.api import ApiModel, HttpUrl, SecretRef, with_rules


class NewcomerRule(ApiModel):
    """People of the provider whom no admin has added; without this field they are refused."""

    org: str = Field(min_length=1, max_length=64, description="id of the organisation that they join")
    role: Literal["viewer", "responder", "admin"] = Field(default="viewer", description="as what")


class Provider(ApiModel):
    """An OpenID Connect provider; its callback is https://YOUR-HOST/console/sign-in/provider/callback."""

    model_config = with_rules(
        ("!has(self.newcomers) || size(self.domains) > 0", "newcomers needs domains"),
    )

    issuer: HttpUrl = Field(description="exactly as the provider's metadata names it")
    client_id: str = Field(
        alias="clientID", min_length=1, max_length=512, description="what the provider calls this stack"
    )
    secret_ref: SecretRef = Field(description="key SIGNALS_OIDC_CLIENT_SECRET")
    name: str = Field(
        default="the company account",
        min_length=1,
        max_length=60,
        description="what the button says behind `Sign in with`",
    )
    domains: tuple[Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[^,\s]+$")], ...] = Field(
        default=(), max_length=64, description="only people with an address of these domains come in"
    )
    trust_addresses: bool = Field(
        default=False, description="take addresses that the provider does not call verified"
    )
    newcomers: NewcomerRule | None = None


class SignIn(ApiModel):
    """How people sign in to the console beside one-time links."""

    provider: Provider | None = None
    passwords: bool | None = Field(
        default=None, description="let people sign in with a password; unset: while there is no provider"
    )
    proxies: int = Field(
        default=0,
        ge=0,
        le=8,
        description="proxies and ingresses before the Service that add to X-Forwarded-For: limits of sign-ins"
        " then go by the client's address",
    )


def sign_in_variables(sign_in: SignIn) -> dict[str, str]:
    """Return the variables that are not secret."""
    variables = {}
    if sign_in.passwords is not None:
        variables["SIGNALS_PASSWORDS"] = str(sign_in.passwords).lower()
    if sign_in.proxies:
        variables["SIGNALS_PROXIES"] = str(sign_in.proxies)
    if provider := sign_in.provider:
        variables |= {
            "SIGNALS_OIDC_ISSUER": provider.issuer,
            "SIGNALS_OIDC_CLIENT_ID": provider.client_id,
            "SIGNALS_OIDC_NAME": provider.name,
            "SIGNALS_OIDC_DOMAINS": ",".join(provider.domains),
            "SIGNALS_OIDC_TRUST_ADDRESSES": str(provider.trust_addresses).lower(),
        }
        if provider.newcomers:
            variables["SIGNALS_OIDC_NEWCOMER_ORG"] = provider.newcomers.org
            variables["SIGNALS_OIDC_NEWCOMER_ROLE"] = provider.newcomers.role
    return variables
