"""The kinds of consumers: one row each, from which everything that names or counts them follows.

A new kind is a row here and the class of its actor. From the rows follow the supervisor, readiness,
heartbeats, the labels of metrics, `ConsumerSettings`, Serve's `user_config`, and the operator with its CRD
and chart (`make crds` writes both files). Standard library only: the operator imports this module.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class StackCount:
    """A field of a stack's `spec.pipeline` that counts consumers; several kinds may share one."""

    field: str
    default: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerKind:
    """One kind of consumer.

    `name` is what heartbeats, metrics and names of actors say. `setting` counts the kind in Serve's
    `user_config`, and upper-cased behind `SIGNALS_` in the environment; at most `most` may run.
    `waits_for` says what the lag counts. `actor` is the actor's class, as `module:class`.
    """

    name: str
    setting: str
    most: int
    stack_count: StackCount
    waits_for: Literal["events", "jobs", "notices"]
    actor: str


WORKERS: Final = StackCount(field="workers", default=3)

KINDS: tuple[ConsumerKind, ...] = (
    ConsumerKind(
        name="incident-engine",
        setting="detectors",
        most=256,
        stack_count=WORKERS,
        waits_for="events",
        actor="actors.detector:Detector",
    ),
    ConsumerKind(
        name="indexer",
        setting="indexers",
        most=256,
        stack_count=WORKERS,
        waits_for="events",
        actor="actors.indexer:Indexer",
    ),
    ConsumerKind(
        name="ai-worker",
        setting="summarizers",
        most=64,
        stack_count=StackCount(field="summarizers", default=1),
        waits_for="jobs",
        actor="actors.summarizer:Summarizer",
    ),
    ConsumerKind(
        name="notifier",
        setting="notifiers",
        most=64,
        stack_count=StackCount(field="notifiers", default=1),
        waits_for="notices",
        actor="actors.notifier:NotifierActor",
    ),
)


def counted_together(kinds: Iterable[ConsumerKind]) -> dict[StackCount, list[ConsumerKind]]:
    """Return the kinds by the field of a stack that counts them."""
    found: dict[StackCount, list[ConsumerKind]] = {}
    for kind in kinds:
        found.setdefault(kind.stack_count, []).append(kind)
    return found
