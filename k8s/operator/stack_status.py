"""The observed state of a SignalsStack, as the operator writes it."""

from pydantic import Field

from k8s.operator.api import ApiModel, Conditions


class Endpoints(ApiModel):
    """Where the APIs answer inside the cluster."""

    ingest: str
    core_api: str


class Migrations(ApiModel):
    """The image whose schema and topics are in place, and the wanted one."""

    applied: str | None = None
    target: str | None = None


class PipelineStatus(ApiModel):
    """The running consumers; `selector` is for `/scale`."""

    workers: int
    lag: int | None = Field(default=None, json_schema_extra={"format": "int64"})
    selector: str


class UpgradePlan(ApiModel):
    """The Ray pods' template that was applied last, and when."""

    hash: str
    applied_at: str = Field(json_schema_extra={"format": "date-time"})


class Waiting(ApiModel):
    """The template that is wanted and not applied yet, and since when."""

    plan: str
    since: str = Field(json_schema_extra={"format": "date-time"})


class SignalsStackStatus(ApiModel):
    """The observed state of a stack."""

    observed_generation: int | None = Field(default=None, json_schema_extra={"format": "int64"})
    version: str | None = Field(default=None, description="tag or digest of the image that serves")
    endpoints: Endpoints | None = None
    migrations: Migrations | None = None
    pipeline: PipelineStatus | None = None
    plan: UpgradePlan | None = None
    waiting: Waiting | None = None
    conditions: Conditions = ()
