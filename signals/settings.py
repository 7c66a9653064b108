"""The only reader of environment variables and of the secret files that may stand in for them.

One frozen object per outside system. Names are those of requirements R30 and R33 to R35; ours begin with
`SIGNALS_`. A bad or missing value raises `SettingsError`, which names the variable. Secrets are hidden in
repr.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, create_model, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from signals.consumer_kinds import KINDS, ConsumerKind
from signals.domain.access.provider_identity import parse_domains
from signals.domain.summary.budget import ModelBudget, parse_prices
from signals.errors import SettingsError
from signals.secret_files import VARIABLE, read_secret_files

RENAMED: Final[Mapping[str, str]] = {}
"""Variables of earlier releases by their names of today: a rename is entered here."""
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class EnvironmentSettings(BaseSettings):
    """Reads variables named like the upper-cased field, then files of that name; empty counts as unset."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    @classmethod
    def from_env(cls) -> Self:
        """Read the environment now.

        Raises:
            SettingsError: naming every variable at fault, or today's name of one that was renamed.
        """
        _refuse_renamed()
        try:
            return cls()
        except ValidationError as error:
            prefix = cls.model_config.get("env_prefix", "")
            faults = "; ".join(
                f"{(prefix + str(fault['loc'][0])).upper()}: {fault['msg']}" for fault in error.errors()
            )
            raise SettingsError(f"check the environment: {faults}") from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # pydantic-settings' signature
        file_secret_settings: PydanticBaseSettingsSource,  # it only warns of a bad folder
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the files in the folder that `SIGNALS_SECRETS_DIR` names."""
        folder = os.environ.get("SIGNALS_SECRETS_DIR")
        if not folder:
            return init_settings, env_settings
        files, prefix = read_secret_files(Path(folder)), cls.model_config.get("env_prefix", "")
        found = {name: files.get(f"{prefix}{name}".upper()) for name in settings_cls.model_fields}
        given = {name: text for name, text in found.items() if text}
        return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=given)


def _refuse_renamed() -> None:
    """A value under an old name would silently not count; it may stay beside one under the new name."""
    folder = os.environ.get(VARIABLE)
    given = {*os.environ, *(read_secret_files(Path(folder)) if folder and RENAMED else ())}
    faults = [f"{old} is now {new}" for old, new in RENAMED.items() if old in given and new not in given]
    if faults:
        raise SettingsError(f"rename what you set: {'; '.join(faults)}")


class PostgresSettings(EnvironmentSettings):
    """Where PostgreSQL is and how to trust it."""

    database_url: SecretStr = Field(description="like `postgresql://user:password@host:5432/name`")
    pg_sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = Field(
        default=None,
        description="wins over the URL's `sslmode`; unset: `verify-full` with a CA, `disable` on loopback, "
        "`require` elsewhere",
    )
    pg_ca_cert: str | None = Field(default=None, description="the CA that signed PostgreSQL's certificate")
    pg_prepared_statements: bool = Field(
        default=True, description="set `false` behind a pooler in transaction mode"
    )

    @property
    def sslmode(self) -> str:
        """`PG_SSLMODE`, else verify-full with a CA, else the URL's own, else by where the host is.

        Unencrypted only on loopback: everything else must at least be encrypted (requirement R33).
        """
        if self.pg_sslmode:
            return self.pg_sslmode
        if self.pg_ca_cert:
            return "verify-full"
        url = urlsplit(self.database_url.get_secret_value())
        in_url = parse_qs(url.query).get("sslmode")
        if in_url:
            return in_url[-1]
        return "disable" if (url.hostname or "localhost") in LOOPBACK_HOSTS else "require"


class KafkaSettings(EnvironmentSettings):
    """Where Kafka is and how to trust it."""

    kafka_brokers: str = Field(description="`host:port`, several with commas")
    kafka_security_protocol: Literal["PLAINTEXT", "SASL_SSL", "SSL"] = Field(
        default="PLAINTEXT", description="how to connect: plain, TLS, or TLS with a password"
    )
    kafka_sasl_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] = Field(
        default="SCRAM-SHA-256", description="how the password is checked, with `SASL_SSL`"
    )
    kafka_sasl_username: str | None = Field(default=None, description="needed with `SASL_SSL`")
    kafka_sasl_password: SecretStr | None = Field(default=None, description="needed with `SASL_SSL`")
    kafka_ca_cert: str | None = Field(
        default=None, description="the CA that signed the brokers' certificates"
    )
    kafka_group_protocol: Literal["classic", "consumer"] = Field(
        default="classic", description="`consumer` is KIP-848; it needs brokers of version 4 or newer"
    )
    signals_partitions: int = Field(
        default=6, ge=1, le=1024, description="partitions of `signals.raw.v1` when it is created"
    )
    signals_replication_factor: int = Field(
        default=1, ge=1, le=15, description="copies of each topic when it is created"
    )


class OpenSearchSettings(EnvironmentSettings):
    """Where OpenSearch is and how to trust it."""

    opensearch_url: str = Field(description="like `https://host:9200`")
    opensearch_user: str | None = Field(default=None, description="set it together with `OPENSEARCH_PASS`")
    opensearch_pass: SecretStr | None = Field(
        default=None, description="set it together with `OPENSEARCH_USER`"
    )
    opensearch_ca_cert: str | None = Field(
        default=None, description="the CA that signed OpenSearch's certificate"
    )


class ModelSettings(EnvironmentSettings):
    """Which model summarizes incidents; without a key the built-in summarizer answers."""

    gradient_base_url: str = Field(
        default="https://inference.do-ai.run/v1", description="any server that speaks the OpenAI protocol"
    )
    gradient_api_key: SecretStr | None = Field(
        default=None, description="without it the built-in summarizer writes the summaries, and says so"
    )
    gradient_model: str = Field(
        default="llama3.3-70b-instruct",
        description="model to ask; of several, with commas, the next one when one is withdrawn (404)",
    )
    signals_ai_requests_per_minute: int = Field(
        default=60, ge=1, description="requests to the model, all ai-workers together"
    )
    signals_ai_concurrency: int = Field(default=4, ge=1, le=64, description="jobs at once per ai-worker")
    signals_ai_lease_s: float = Field(
        default=120, gt=0, description="seconds that a job is leased; a worker renews it at half-time"
    )
    signals_ai_timeout_s: float = Field(
        default=45, gt=0, description="seconds that one call may take; must stay below the lease"
    )
    signals_ai_redact: bool = Field(
        default=True,
        description="replace secrets and personal data by placeholders for the model",
    )
    signals_ai_tokens_per_day: int = Field(
        default=1_000_000,  # guess: some two hundred summaries
        ge=0,
        description="tokens that a project may use in a day (UTC), read and written; 0: any number",
    )
    signals_ai_prices: str = Field(
        default="",
        description="MODEL=IN/OUT: prices of a million tokens read and written, several with commas",
    )
    signals_ai_questions_per_day: int = Field(
        default=10, ge=0, description="questions about incidents that a project may ask in a day (UTC)"
    )
    signals_ai_investigates: bool = Field(
        default=True, description="let the model search events for the summary of a confirmed incident"
    )

    @field_validator("signals_ai_prices")
    @classmethod
    def _prices_can_be_read(cls, text: str) -> str:
        parse_prices(text)
        return text

    @property
    def budget(self) -> ModelBudget:
        """The limits of what the model may cost."""
        return ModelBudget(
            tokens_per_day=self.signals_ai_tokens_per_day, prices=parse_prices(self.signals_ai_prices)
        )

    @property
    def has_key(self) -> bool:
        """Whether a key is set; one of blanks alone is none."""
        return bool(self.gradient_api_key and self.gradient_api_key.get_secret_value().strip())

    @property
    def models(self) -> tuple[str, ...]:
        """The models' names, in order of preference."""
        return tuple(name for given in self.gradient_model.split(",") if (name := given.strip()))


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


class RuntimeSettings(EnvironmentSettings):
    """How often periodic work is done, and what is allowed."""

    model_config = SettingsConfigDict(env_prefix="SIGNALS_")

    tick_s: float = Field(
        default=15, gt=0, description="seconds between evaluations of signup drops by clock"
    )
    resolve_every_s: float = Field(
        default=300, gt=0, description="seconds between searches for incidents that went stale (60 minutes)"
    )
    key_cache_s: float = Field(
        default=60, gt=0, description="seconds for which a revoked key may still be accepted"
    )
    dlq_max_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="share of a partition's newest 1,000 records that may be dead letters; above it the "
        "consumer stops; 1 never stops it",
    )
    key_events_per_second: int = Field(
        default=0, ge=0, description="rate of each key without a limit of its own; 0 is no limit"
    )
    key_events_per_day: int = Field(
        default=0, ge=0, description="quota of each key per UTC day, likewise; 0 is no limit"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least severity that is logged"
    )


def _count_of(kind: ConsumerKind) -> Any:
    """Return the type and field of the setting that counts a kind of consumer."""
    shared = "; they share the partitions" if kind.waits_for == "events" else ""
    return int, Field(default=1, ge=1, le=kind.most, description=f"{kind.name} actors{shared}")


ConsumerSettings: Final = create_model(
    "ConsumerSettings",
    __base__=EnvironmentSettings,
    __doc__="How many consumers of each kind run.",
    __cls_kwargs__={"env_prefix": "SIGNALS_"},
    **{kind.setting: _count_of(kind) for kind in KINDS},
)


class LabelSettings(EnvironmentSettings):
    """Which attributes of events become labels, by which failing and working requests are compared."""

    signals_labels_allowed: str = Field(
        default="",
        description="with commas: only these attributes become labels, `project:name` for one project; "
        "empty: all that are short and no secrets",
    )
    signals_labels_denied: str = Field(
        default="", description="likewise: attributes that never become labels"
    )


class RetentionSettings(EnvironmentSettings):
    """For how many days history is kept; 0 keeps it indefinitely."""

    model_config = SettingsConfigDict(env_prefix="SIGNALS_")

    keep_buckets_days: int = Field(
        default=30, ge=0, le=3650, description="days for minute buckets (charts), since their last event"
    )
    keep_events_days: int = Field(
        default=30, ge=0, le=3650, description="days for searchable events, since they were received"
    )
    keep_incident_events_days: int = Field(
        default=90,
        ge=0,
        le=3650,
        description="days for representative events, since their incident was resolved",
    )


def variables() -> frozenset[str]:
    """Return the name of every variable that is a setting."""
    return frozenset({VARIABLE}) | frozenset(
        f"{kind.model_config.get('env_prefix', '')}{name}".upper()
        for kind in EnvironmentSettings.__subclasses__()
        for name in kind.model_fields
    )
