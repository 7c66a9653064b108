"""Configuration of the product's processes: plain values as variables, secrets as files of one volume."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from k8s.operator.api import SecretRef
from k8s.operator.sign_in_types import sign_in_variables
from k8s.operator.stack_types import Ai, SignalsStackSpec

SECRETS_FOLDER: Final = "/etc/signals/secrets"
SECRETS_VOLUME: Final = "secrets"
CA_KEY: Final = "ca.crt"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKey:
    """The Secret and key that hold one variable's value."""

    variable: str
    secret: str
    key: str
    required: bool = True

    @property
    def is_certificate(self) -> bool:
        """Whether the value is a CA certificate, which expires."""
        return self.variable.endswith("_CA_CERT")


def secret_keys(spec: SignalsStackSpec) -> tuple[SecretKey, ...]:
    """Return every key that pods read, in the order of the volume."""
    postgres, kafka, opensearch = spec.postgres, spec.kafka, spec.opensearch
    keys = [
        *_keys(postgres.secret_ref, "DATABASE_URL"),
        *_keys(postgres.ca_ref, "PG_CA_CERT", default=CA_KEY),
        *_keys(opensearch.secret_ref, "OPENSEARCH_URL"),
        *_optional(opensearch.secret_ref, "OPENSEARCH_USER", "OPENSEARCH_PASS"),
        *_keys(opensearch.ca_ref, "OPENSEARCH_CA_CERT", default=CA_KEY),
    ]
    if kafka.security_protocol != "PLAINTEXT":
        keys += _keys(kafka.ca_ref, "KAFKA_CA_CERT", default=CA_KEY)
    if kafka.security_protocol == "SASL_SSL" and kafka.secret_ref:
        name = kafka.secret_ref.name
        keys += [
            SecretKey(variable=variable, secret=name, key=variable)
            for variable in ("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD")
        ]
    if spec.ai and spec.ai.enabled:
        keys += _keys(spec.ai.secret_ref, "GRADIENT_API_KEY")
    if spec.notifications:
        keys += _keys(spec.notifications.secret_ref, "SIGNALS_SECRET_KEYS")
    if spec.sign_in and spec.sign_in.provider:
        keys += _keys(spec.sign_in.provider.secret_ref, "SIGNALS_OIDC_CLIENT_SECRET")
    return tuple(keys)


def checked_keys(spec: SignalsStackSpec) -> tuple[SecretKey, ...]:
    """Return every required key, including the one that only Ray reads."""
    store = spec.ray.gcs_fault_tolerance
    return (*secret_keys(spec), *_keys(store.secret_ref if store else None, "REDIS_PASSWORD"))


def _keys(ref: SecretRef | None, variable: str, *, default: str | None = None) -> list[SecretKey]:
    if ref is None:
        return []
    return [SecretKey(variable=variable, secret=ref.name, key=ref.key or default or variable)]


def _optional(ref: SecretRef, *variables: str) -> list[SecretKey]:
    return [SecretKey(variable=name, secret=ref.name, key=name, required=False) for name in variables]


def secrets_volume(keys: Sequence[SecretKey]) -> dict[str, Any]:
    """One projected volume without subPath, so that a changed Secret changes the files of running pods."""
    sources = [
        {
            "secret": {"name": key.secret, "items": [{"key": key.key, "path": key.variable}]}
            | ({} if key.required else {"optional": True})
        }
        for key in keys
    ]
    return {"name": SECRETS_VOLUME, "projected": {"defaultMode": 0o444, "sources": sources}}


def connection_variables(spec: SignalsStackSpec) -> dict[str, str]:
    """Return the variables of every process."""
    variables = {
        "KAFKA_BROKERS": ",".join(spec.kafka.brokers),
        "KAFKA_SECURITY_PROTOCOL": spec.kafka.security_protocol,
        "KAFKA_SASL_MECHANISM": spec.kafka.sasl_mechanism,
        "PG_SSLMODE": spec.postgres.ssl_mode,
        "PG_PREPARED_STATEMENTS": str(spec.postgres.prepared_statements).lower(),
        "SIGNALS_SECRETS_DIR": SECRETS_FOLDER,
    }
    if spec.ai and spec.ai.enabled:
        variables |= {
            "GRADIENT_BASE_URL": spec.ai.base_url,
            "GRADIENT_MODEL": ",".join(spec.ai.models),
            "SIGNALS_AI_REQUESTS_PER_MINUTE": str(spec.ai.requests_per_minute),
            **_model_limits(spec.ai),
        }
    if spec.notifications:
        variables |= {
            "SIGNALS_NOTIFY_ALLOW": ",".join(spec.notifications.allow),
            "SIGNALS_NOTIFY_LINK_URL": spec.notifications.link_url,
        }
    if spec.sign_in:
        variables |= sign_in_variables(spec.sign_in)
    return variables


def _model_limits(ai: Ai) -> dict[str, str]:
    """Return the limits that are not the defaults: a new variable replaces the pods of an older stack."""
    limits = {
        "SIGNALS_AI_TOKENS_PER_DAY": ("tokens_per_day", str(ai.tokens_per_day)),
        "SIGNALS_AI_PRICES": ("prices", ",".join(ai.prices)),
        "SIGNALS_AI_QUESTIONS_PER_DAY": ("questions_per_day", str(ai.questions_per_day)),
        "SIGNALS_AI_INVESTIGATES": ("investigates", str(ai.investigates).lower()),
    }
    fields = Ai.model_fields
    return {
        name: text for name, (field, text) in limits.items() if getattr(ai, field) != fields[field].default
    }


def creation_variables(spec: SignalsStackSpec) -> dict[str, str]:
    """Return the variables of the Jobs only, so that more partitions do not replace a pod."""
    return {
        "SIGNALS_PARTITIONS": str(spec.kafka.topics.partitions),
        "SIGNALS_REPLICATION_FACTOR": str(spec.kafka.topics.replication_factor),
    }


FIELDS: Final = {
    "KAFKA_BROKERS": "spec.kafka.brokers",
    "KAFKA_SECURITY_PROTOCOL": "spec.kafka.securityProtocol",
    "KAFKA_SASL_MECHANISM": "spec.kafka.saslMechanism",
    "PG_SSLMODE": "spec.postgres.sslMode",
    "PG_PREPARED_STATEMENTS": "spec.postgres.preparedStatements",
    "GRADIENT_BASE_URL": "spec.ai.baseURL",
    "GRADIENT_MODEL": "spec.ai.models",
    "SIGNALS_AI_REQUESTS_PER_MINUTE": "spec.ai.requestsPerMinute",
    "SIGNALS_AI_TOKENS_PER_DAY": "spec.ai.tokensPerDay",
    "SIGNALS_AI_PRICES": "spec.ai.prices",
    "SIGNALS_AI_QUESTIONS_PER_DAY": "spec.ai.questionsPerDay",
    "SIGNALS_AI_INVESTIGATES": "spec.ai.investigates",
    "SIGNALS_NOTIFY_ALLOW": "spec.notifications.allow",
    "SIGNALS_NOTIFY_LINK_URL": "spec.notifications.linkURL",
    "SIGNALS_PASSWORDS": "spec.signIn.passwords",
    "SIGNALS_PROXIES": "spec.signIn.proxies",
    "SIGNALS_OIDC_ISSUER": "spec.signIn.provider.issuer",
    "SIGNALS_OIDC_CLIENT_ID": "spec.signIn.provider.clientID",
    "SIGNALS_OIDC_NAME": "spec.signIn.provider.name",
    "SIGNALS_OIDC_DOMAINS": "spec.signIn.provider.domains",
    "SIGNALS_OIDC_TRUST_ADDRESSES": "spec.signIn.provider.trustAddresses",
    "SIGNALS_OIDC_NEWCOMER_ORG": "spec.signIn.provider.newcomers.org",
    "SIGNALS_OIDC_NEWCOMER_ROLE": "spec.signIn.provider.newcomers.role",
    "SIGNALS_PARTITIONS": "spec.kafka.topics.partitions",
    "SIGNALS_REPLICATION_FACTOR": "spec.kafka.topics.replicationFactor",
}


def places(spec: SignalsStackSpec) -> dict[str, str]:
    """Return the source of each variable's value, for use in messages."""
    return FIELDS | {key.variable: f"key {key.key} of Secret {key.secret}" for key in secret_keys(spec)}


def environment(variables: dict[str, str]) -> list[dict[str, Any]]:
    """Return the variables as a container lists them, in one order."""
    return [{"name": name, "value": variables[name]} for name in sorted(variables)]
