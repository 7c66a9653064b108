"""SignalsStack: one running copy of the product and what it connects to. Its CRD is generated from this."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import Field, create_model

from k8s.operator.api import (
    ApiModel,
    Duration,
    HttpUrl,
    Image,
    NameRef,
    ObjectName,
    SecretRef,
    parse_duration,
    rules,
    with_rules,
)
from k8s.operator.sign_in_types import SignIn
from k8s.operator.stack_status import SignalsStackStatus
from signals.consumer_kinds import KINDS, ConsumerKind, StackCount, counted_together
from signals.serve_applications import ConsolePlacement

KIND: Final = "SignalsStack"
PLURAL: Final = "signalsstacks"

_ABOVE_ZERO: Final = r"([0-9]*[1-9][0-9]*(\.[0-9]+)?|0+\.[0-9]*[1-9][0-9]*)"
Quantity = Annotated[str, Field(max_length=32, pattern=rf"^{_ABOVE_ZERO}(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]


class PostgresSpec(ApiModel):
    """PostgreSQL 14 or newer."""

    model_config = with_rules(
        ("!self.sslMode.startsWith('verify-') || has(self.caRef)", "sslMode verify-* needs caRef")
    )

    secret_ref: SecretRef = Field(description="key DATABASE_URL: postgresql://user:password@host:port/name")
    ca_ref: SecretRef | None = Field(default=None, description="key ca.crt: PEM")
    ssl_mode: Literal["disable", "require", "verify-ca", "verify-full"] = Field(
        default="verify-full", description="`require` encrypts without checking the certificate"
    )
    prepared_statements: bool = Field(default=True, description="false behind a pooler in transaction mode")


class Topics(ApiModel):
    """How the topics are created; they are never deleted. A fingerprint must stay on its one partition."""

    partitions: int = Field(
        default=12,
        ge=1,
        le=1024,
        description="of signals.raw.v1; the upper bound of pipeline.workers",
        json_schema_extra=rules(("self == oldSelf", "partitions are fixed")),
    )
    replication_factor: int = Field(default=3, ge=1, le=15, description="copies of each topic")


class KafkaSpec(ApiModel):
    """Kafka 2.4 or newer."""

    model_config = with_rules(
        ("!self.securityProtocol.startsWith('SASL') || has(self.secretRef)", "SASL needs secretRef"),
        ("self.securityProtocol == 'PLAINTEXT' || has(self.caRef)", "TLS needs caRef"),
    )

    brokers: tuple[Annotated[str, Field(min_length=1, max_length=260)], ...] = Field(
        min_length=1,
        max_length=32,
        description="host:port of each bootstrap broker",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL"] = Field(
        default="SASL_SSL", description="plain, TLS, or TLS with a password"
    )
    sasl_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] = Field(
        default="SCRAM-SHA-256", description="how the password is checked"
    )
    secret_ref: NameRef | None = Field(
        default=None, description="keys KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
    )
    ca_ref: SecretRef | None = Field(default=None, description="key ca.crt: PEM")
    topics: Topics = Topics()


class OpenSearchSpec(ApiModel):
    """OpenSearch 2.7 or newer."""

    secret_ref: SecretRef = Field(
        description="keys OPENSEARCH_URL and, where it asks for them, OPENSEARCH_USER and OPENSEARCH_PASS"
    )
    ca_ref: SecretRef | None = Field(default=None, description="key ca.crt: PEM")


class Ai(ApiModel):
    """The model that summarizes incidents; without it the built-in summarizer answers."""

    model_config = with_rules(
        ("!self.enabled || has(self.secretRef)", "ai.enabled needs secretRef with a model access key")
    )

    enabled: bool = Field(default=True, description="false: the built-in summarizer answers")
    base_url: HttpUrl = Field(
        default="https://inference.do-ai.run/v1",
        alias="baseURL",
        description="a server that speaks the OpenAI protocol",
    )
    models: tuple[Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^,\s]+$")], ...] = Field(
        default=("llama3.3-70b-instruct",),
        min_length=1,
        max_length=5,
        description="in order of preference; the next one is used when the server no longer has the first",
    )
    secret_ref: SecretRef | None = Field(default=None, description="key GRADIENT_API_KEY")
    requests_per_minute: int = Field(default=60, ge=1, le=100_000, description="of all summarizers together")
    tokens_per_day: int = Field(
        default=1_000_000, ge=0, le=10**12, description="of a project, read and written; 0: any number"
    )
    prices: tuple[Annotated[str, Field(max_length=160, pattern=r"^[^,=\s]+=[0-9.]+/[0-9.]+$")], ...] = Field(
        default=(), max_length=5, description="MODEL=IN/OUT: of a million tokens read and written"
    )
    questions_per_day: int = Field(default=10, ge=0, le=100_000, description="about incidents, of a project")
    investigates: bool = Field(
        default=True, description="the model searches events for the summary of a confirmed incident"
    )


class Notifications(ApiModel):
    """How people are notified about incidents; without a key no destination with a secret can be stored."""

    secret_ref: SecretRef | None = Field(
        default=None, description="key SIGNALS_SECRET_KEYS: seals the secrets of destinations"
    )
    allow: tuple[Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[^,\s]+$")], ...] = Field(
        default=(),
        max_length=64,
        description="networks (CIDR) and host names that are not public, yet may be told",
    )
    link_url: str = Field(
        default="",
        alias="linkURL",
        max_length=2_048,
        description="where people reach the API, for links in messages",
    )


class Exposure(ApiModel):
    """The Service in front of an API."""

    type: Literal["ClusterIP", "LoadBalancer"] = Field(
        default="ClusterIP", description="LoadBalancer: reachable from outside the cluster"
    )
    annotations: dict[str, str] = Field(
        default={}, max_length=32, description="of the Service, as the cloud's load balancer wants them"
    )


class Api(ApiModel):
    """One of both HTTP APIs."""

    replicas: int = Field(default=2, ge=1, le=100, description="of the Serve deployment")
    service: Exposure = Exposure()


class ConsolePages(ApiModel):
    """The pages for people, below /console."""

    placement: ConsolePlacement = Field(
        default="core",
        description="core: in core-api's replicas; own: in a Serve application of its own, so that readers "
        "take nothing from the API; none: nowhere",
    )
    replicas: int = Field(default=2, ge=1, le=100, description="of the Serve deployment, with own")


def _count_of(count: StackCount, kinds: Sequence[ConsumerKind]) -> Any:
    """Return the type and field of a model that counts these kinds together."""
    actors = " and ".join(kind.name for kind in kinds) + " actors" + (", each" if len(kinds) > 1 else "")
    most = min(kind.most for kind in kinds)
    return int, Field(default=count.default, ge=1, le=most, description=actors)


_Counts = create_model(
    "_Counts",
    __base__=ApiModel,
    **{count.field: _count_of(count, kinds) for count, kinds in counted_together(KINDS).items()},
)


class Pipeline(_Counts):
    """The consumers; `/scale` sets `workers`."""

    def count(self, kind: ConsumerKind) -> int:
        """Return how many consumers of a kind must run."""
        count: int = getattr(self, kind.stack_count.field)
        return count


class ResourceAmounts(ApiModel):
    """Requests of one Ray pod; memory is also its limit."""

    cpu: Quantity = Field(description="like 500m or 2")
    memory: Quantity = Field(description="like 2Gi; request and limit")


class RedisStore(ApiModel):
    """The Redis that keeps the head's state, so that the cluster survives a restart of the head."""

    address: str = Field(
        max_length=260,
        pattern=r"^rediss?://\S+:[0-9]+$",
        description="redis://host:port or rediss://host:port",
    )
    secret_ref: SecretRef | None = Field(default=None, description="key REDIS_PASSWORD")


class RayPods(ApiModel):
    """The Ray cluster below the product; changing anything but `workers` starts a second cluster first."""

    workers: int = Field(default=2, ge=1, le=100, description="worker pods")
    head_resources: ResourceAmounts = Field(
        default=ResourceAmounts(cpu="500m", memory="2Gi"), description="of the head's pod"
    )
    worker_resources: ResourceAmounts = Field(
        default=ResourceAmounts(cpu="1", memory="3Gi"), description="of each worker pod"
    )
    gcs_fault_tolerance: RedisStore | None = Field(
        default=None, description="a Redis that keeps the head's state over its restart"
    )


class Upgrade(ApiModel):
    """How a change that needs new pods is applied."""

    strategy: Literal["NewCluster", "None"] = Field(
        default="NewCluster", description="a second cluster takes over when it is Ready; None: never"
    )
    approval: Literal["Automatic", "Manual"] = Field(
        default="Automatic", description="Manual: a plan waits until approvedPlan names it"
    )
    approved_plan: str | None = Field(
        default=None, max_length=64, description="the hash that condition PlanPending names"
    )
    timeout: Duration = Field(
        default="20m",
        description="after this long without becoming Ready the stack is Stalled",
        json_schema_extra=rules(
            ("self >= duration('1m')", "timeout must be a duration of at least 1m"),
        ),
    )

    @property
    def deadline(self) -> timedelta:
        """`timeout` as a duration."""
        return parse_duration(self.timeout)


class Disruption(ApiModel):
    """Limits for node drains."""

    min_available: int = Field(default=1, ge=1, le=99, description="worker pods; from two workers on")


class Monitoring(ApiModel):
    """Objects of the Prometheus operator, where its CRDs are installed."""

    service_monitor: bool = Field(default=False, description="make a ServiceMonitor of the Ray pods")
    prometheus_rule: bool = Field(default=False, description="make the alerts")


class NetworkRules(ApiModel):
    """Network access to the Ray pods."""

    enabled: bool = Field(default=True, description="only port 8000 is open to other pods")


class SignalsStackSpec(ApiModel):
    """The wanted state of a stack."""

    model_config = with_rules(
        (
            "self.image.matches('(^[^@]+:[^/@]+|@sha256:[0-9a-f]{64})$') && !self.image.endsWith(':latest')",
            "image needs a tag other than latest, or a digest",
            ".image",
        ),
        (
            "self.imagePolicy != 'RequireDigest' || self.image.contains('@sha256:')",
            "imagePolicy RequireDigest needs image@sha256:...",
            ".image",
        ),
        ("!(self.paused && self.suspend)", "paused and suspend exclude each other"),
        (
            "self.pipeline.workers <= self.kafka.topics.partitions",
            "more workers than partitions would idle",
            ".pipeline.workers",
        ),
        (
            "self.disruption.minAvailable < self.ray.workers || self.ray.workers == 1",
            "minAvailable must leave a worker that a drain may take",
            ".disruption.minAvailable",
        ),
    )

    image: Image = Field(description="of the Ray pods and the Jobs, with a tag or a digest")
    image_policy: Literal["Any", "RequireDigest"] = Field(
        default="Any", description="RequireDigest refuses an image without @sha256:"
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="as in a pod"
    )
    image_pull_secrets: tuple[ObjectName, ...] = Field(
        default=(),
        max_length=8,
        description="names of Secrets of type kubernetes.io/dockerconfigjson",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    paused: bool = Field(default=False, description="change nothing; status goes on")
    suspend: bool = Field(default=False, description="remove the Ray pods; Kafka keeps what was accepted")
    deletion_policy: Literal["Delete", "Retain"] = Field(
        default="Delete",
        description="whether the pods go with this object; topics and data always stay",
    )
    postgres: PostgresSpec
    kafka: KafkaSpec
    opensearch: OpenSearchSpec
    ai: Ai | None = None
    notifications: Notifications | None = None
    sign_in: SignIn | None = None
    ingest: Api = Api()
    core_api: Api = Api()
    console: ConsolePages = ConsolePages()
    pipeline: Pipeline = Pipeline()
    ray: RayPods = RayPods()
    upgrade: Upgrade = Upgrade()
    disruption: Disruption = Disruption()
    network_policy: NetworkRules = NetworkRules()
    monitoring: Monitoring = Monitoring()


class SignalsStack(ApiModel):
    """One running copy of Customer Signals Copilot."""

    model_config = with_rules(
        (
            "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 40",
            "name must be at most 40 characters, begin with a letter and hold no dot",
        )
    )

    spec: SignalsStackSpec
    status: SignalsStackStatus | None = None
