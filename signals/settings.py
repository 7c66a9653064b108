"""The only reader of environment variables and of the secret files that may stand in for them.

One frozen object per outside system. Names are the specification's where it has one; ours begin with
`SIGNALS_`. A bad or missing value raises `SettingsError`, which names the variable. Secrets are hidden in
repr.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from signals.errors import SettingsError
from signals.secret_files import VARIABLE, read_secret_files

RENAMED: Final[Mapping[str, str]] = {}
"""Variables of earlier releases by their names of today: whoever renames one enters it here."""
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

    database_url: SecretStr
    pg_sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = None
    pg_ca_cert: str | None = Field(default=None, description="path or PEM text")
    pg_prepared_statements: bool = Field(default=True, description="false behind a transaction pooler")

    @property
    def sslmode(self) -> str:
        """`PG_SSLMODE`, else verify-full with a CA, else the URL's own, else by where the host is.

        Unencrypted only on loopback: everything else must at least be encrypted (specification: TLS).
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

    kafka_brokers: str
    kafka_security_protocol: Literal["PLAINTEXT", "SASL_SSL", "SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] = "SCRAM-SHA-256"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ca_cert: str | None = Field(default=None, description="path or PEM text")
    kafka_group_protocol: Literal["classic", "consumer"] = Field(
        default="classic", description="consumer (KIP-848) needs brokers of version 4"
    )
    signals_partitions: int = Field(default=6, ge=1, le=1024, description="of signals.raw.v1 when created")
    signals_replication_factor: int = Field(default=1, ge=1, le=15, description="of topics when created")


class OpenSearchSettings(EnvironmentSettings):
    """Where OpenSearch is and how to trust it."""

    opensearch_url: str
    opensearch_user: str | None = None
    opensearch_pass: SecretStr | None = None
    opensearch_ca_cert: str | None = Field(default=None, description="path or PEM text")


class ModelSettings(EnvironmentSettings):
    """Which model summarizes incidents; without a key the built-in summarizer answers."""

    gradient_base_url: str = "https://inference.do-ai.run/v1"
    gradient_api_key: SecretStr | None = None
    gradient_model: str = Field(
        default="llama3.3-70b-instruct", description="several with commas: the next one when one is withdrawn"
    )
    signals_ai_requests_per_minute: int = Field(default=60, ge=1)
    signals_ai_concurrency: int = Field(default=4, ge=1, le=64, description="jobs at once per ai-worker")
    signals_ai_lease_s: float = Field(default=120, gt=0, description="specification: 2 minutes")
    signals_ai_timeout_s: float = Field(default=45, gt=0, description="one call; must stay below the lease")
    signals_ai_redact: bool = Field(default=True, description="take secrets out of what the model is shown")

    @property
    def models(self) -> tuple[str, ...]:
        """The models' names, in order of preference."""
        return tuple(name for given in self.gradient_model.split(",") if (name := given.strip()))


class RuntimeSettings(EnvironmentSettings):
    """How many of each part run, and how often periodic work is done."""

    model_config = SettingsConfigDict(env_prefix="SIGNALS_")

    detectors: int = Field(default=1, ge=1, le=256)
    indexers: int = Field(default=1, ge=1, le=256)
    summarizers: int = Field(default=1, ge=1, le=64)
    tick_s: float = Field(default=15, gt=0, description="signup-drop tick")
    resolve_every_s: float = Field(default=300, gt=0, description="specification: every 5 minutes")
    key_cache_s: float = Field(default=60, gt=0, description="how long a revoked key may still be accepted")
    dlq_max_share: float = Field(
        default=0.5, gt=0, le=1, description="of a partition's newest records; beyond it its consumer stops"
    )
    key_events_per_second: int = Field(
        default=0, ge=0, description="of keys without one of their own; 0 is none"
    )
    key_events_per_day: int = Field(default=0, ge=0, description="likewise, per UTC day")
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class RetentionSettings(EnvironmentSettings):
    """For how many days what is only history is kept; 0 keeps it for ever."""

    model_config = SettingsConfigDict(env_prefix="SIGNALS_")

    keep_buckets_days: int = Field(
        default=30, ge=0, le=3650, description="minute buckets since their last event; the rules read 75 min"
    )
    keep_events_days: int = Field(
        default=30, ge=0, le=3650, description="documents in OpenSearch, since their event was received"
    )
    keep_incident_events_days: int = Field(
        default=90, ge=0, le=3650, description="representative events, since their incident was resolved"
    )


def variables() -> frozenset[str]:
    """Return the name of every variable that is a setting."""
    return frozenset({VARIABLE}) | frozenset(
        f"{kind.model_config.get('env_prefix', '')}{name}".upper()
        for kind in EnvironmentSettings.__subclasses__()
        for name in kind.model_fields
    )
