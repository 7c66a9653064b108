"""SignalsScenario: one run of a producer and the incident it should open; source of the CRD."""

from typing import Final, Literal

from pydantic import Field

from k8s.operator.api import (
    ApiModel,
    Conditions,
    Duration,
    HttpUrl,
    Image,
    KeyRef,
    ObjectName,
    rules,
    with_rules,
)

KIND: Final = "SignalsScenario"
PLURAL: Final = "signalsscenarios"

_POSITIVE: Final = rules(("self > duration('0s')", "must be a positive duration"))


class StackRef(ApiModel):
    """A SignalsStack of the same namespace."""

    name: str = Field(min_length=1, max_length=40, description="name of the stack")


class Loadgen(ApiModel):
    """Synthetic traffic in real time."""

    mode: Literal["normal", "spike_errors", "drop_signups", "deploy_then_spike"] = Field(
        description="what the traffic shows"
    )
    rate: int = Field(default=50, ge=1, le=100_000, description="events a second, of each pod")
    duration: Duration = Field(
        default="10m",
        description="how long events are sent",
        json_schema_extra=rules(
            ("self > duration('0s') && self <= duration('24h')", "duration must be within (0, 24h]")
        ),
    )
    concurrency: int = Field(default=8, ge=1, le=1000, description="requests in flight, of each pod")
    seed: int = Field(default=1, description="each pod adds its index", json_schema_extra={"format": "int64"})


class Replay(ApiModel):
    """A recorded scenario."""

    model_config = with_rules(("has(self.fixture) != has(self.configMapRef)", "set fixture or configMapRef"))

    fixture: str | None = Field(
        default=None, max_length=128, pattern=r"^[a-z0-9_.-]+\.ndjson$", description="a file of the image"
    )
    config_map_ref: KeyRef | None = Field(default=None, description="NDJSON in a ConfigMap")
    speed: str = Field(
        default="1.0",
        max_length=16,
        pattern=r"^([0-9]+(\.[0-9]+)?|max)$",
        description="recorded seconds per second, or max",
    )


class Expect(ApiModel):
    """Expectations; the condition Verified is true when all are met."""

    min_accepted_percent: int = Field(default=99, ge=0, le=100, description="of the events sent")
    incident_within: Duration | None = Field(
        default=None, description="of the run's start", json_schema_extra=_POSITIVE
    )
    summary_within: Duration | None = Field(default=None, description="likewise", json_schema_extra=_POSITIVE)
    read_key_ref: KeyRef | None = Field(default=None, description="a key of scope read")


class SignalsScenarioSpec(ApiModel):
    """One run; only `suspend` and `ttlSecondsAfterFinished` may change."""

    model_config = with_rules(
        (
            (
                "self.type == 'Loadgen' ? has(self.loadgen) && !has(self.replay)"
                " : has(self.replay) && !has(self.loadgen)"
            ),
            "set exactly the block named by type",
        ),
        ("has(self.stackRef) != has(self.url)", "set stackRef or url, not both"),
        ("!has(self.expect) || has(self.stackRef)", "expect needs stackRef"),
        (
            (
                "!has(self.expect) || has(self.expect.readKeyRef)"
                " || !(has(self.expect.incidentWithin) || has(self.expect.summaryWithin))"
            ),
            "incidentWithin and summaryWithin need expect.readKeyRef",
        ),
        (
            (
                "self.type == oldSelf.type && self.apiKeyRef == oldSelf.apiKeyRef"
                " && has(self.stackRef) == has(oldSelf.stackRef)"
                " && (!has(self.stackRef) || self.stackRef == oldSelf.stackRef)"
                " && has(self.url) == has(oldSelf.url) && (!has(self.url) || self.url == oldSelf.url)"
                " && has(self.image) == has(oldSelf.image)"
                " && (!has(self.image) || self.image == oldSelf.image)"
                " && has(self.loadgen) == has(oldSelf.loadgen)"
                " && (!has(self.loadgen) || self.loadgen == oldSelf.loadgen)"
                " && has(self.replay) == has(oldSelf.replay)"
                " && (!has(self.replay) || self.replay == oldSelf.replay)"
                " && has(self.expect) == has(oldSelf.expect)"
                " && (!has(self.expect) || self.expect == oldSelf.expect)"
                " && self.parallelism == oldSelf.parallelism"
                " && self.backoffLimit == oldSelf.backoffLimit"
            ),
            "a scenario is one run: create a new one (only suspend and ttl may change)",
        ),
    )

    type: Literal["Loadgen", "Replay"] = Field(description="names the block that is set below")
    stack_ref: StackRef | None = Field(default=None, description="the stack that gets the events")
    url: HttpUrl | None = Field(default=None, description="or the base URL of an ingest-api")
    api_key_ref: KeyRef = Field(description="a key of scope ingest")
    image: Image | None = Field(default=None, description="with url; otherwise the stack's")
    loadgen: Loadgen | None = None
    replay: Replay | None = None
    parallelism: int = Field(default=1, ge=1, le=50, description="pods that send")
    suspend: bool = Field(default=False, description="hold the Job back")
    backoff_limit: int = Field(default=0, ge=0, le=10, description="restarts of each pod")
    ttl_seconds_after_finished: int = Field(
        default=3600, ge=0, description="after that the Job is removed; the outcome stays"
    )
    expect: Expect | None = None


class SignalsScenarioStatus(ApiModel):
    """Totals of the run and its incident."""

    observed_generation: int | None = Field(default=None, json_schema_extra={"format": "int64"})
    started_at: str | None = Field(default=None, json_schema_extra={"format": "date-time"})
    finished_at: str | None = Field(default=None, json_schema_extra={"format": "date-time"})
    sent: int | None = Field(default=None, json_schema_extra={"format": "int64"})
    accepted: int | None = Field(default=None, json_schema_extra={"format": "int64"})
    incident_id: ObjectName | None = None
    conditions: Conditions = ()


class SignalsScenario(ApiModel):
    """One run of loadgen or replay against a stack, and the verdict on its incident."""

    model_config = with_rules(
        (
            "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 52",
            "name must be at most 52 characters and hold no dot",
        )
    )

    spec: SignalsScenarioSpec
    status: SignalsScenarioStatus | None = None
