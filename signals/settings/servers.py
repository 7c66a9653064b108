"""Settings of the servers: PostgreSQL, Kafka and OpenSearch."""

from typing import Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr

from signals.settings.base import LOOPBACK_HOSTS, EnvironmentSettings


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
