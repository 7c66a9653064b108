"""Settings of the work: its pace, the counts of consumers, labels, and how long data is kept."""

from typing import Any, Final, Literal

from pydantic import Field, create_model
from pydantic_settings import SettingsConfigDict

from signals.consumer_kinds import KINDS, ConsumerKind
from signals.settings.base import EnvironmentSettings


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
