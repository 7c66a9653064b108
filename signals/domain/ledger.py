"""The loss ledger: where an event is entered, and whether what was accepted has been handled.

A stage balances when it handled as many events of a project and minute as were accepted for it. Until
everything appended in that minute has been read the difference is in flight; afterwards it is missing.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal, Self

from shared_types import Envelope
from shared_types.fingerprints import project_of
from signals.domain.detection.buckets import BUCKET_S, instant_of, minute_of

Stage = Literal["ingest-api", "incident-engine", "indexer"]
ReadingStage = Literal["incident-engine", "indexer"]
LedgerOutcome = Literal[
    "accepted", "requeued", "counted", "uncounted", "indexed", "duplicate", "dead_lettered"
]

STAGES: Final[tuple[ReadingStage, ...]] = ("incident-engine", "indexer")
INGEST: Final[Stage] = "ingest-api"
ENTRIES: Final[tuple[tuple[Stage, LedgerOutcome], ...]] = (
    ("ingest-api", "accepted"),
    ("incident-engine", "requeued"),
    ("incident-engine", "counted"),
    ("incident-engine", "uncounted"),
    ("incident-engine", "duplicate"),
    ("incident-engine", "dead_lettered"),
    ("indexer", "requeued"),
    ("indexer", "indexed"),
    ("indexer", "duplicate"),
    ("indexer", "dead_lettered"),
)
"""Every outcome that a stage enters."""
NO_PARTITION: Final = -1

# Guess: an event is in Kafka seconds after it was received, so this leaves room for clocks that differ.
GRACE: Final = timedelta(seconds=60)

_MAX_MS: Final = 253_370_764_800_000  # the year 9999; producers may write any timestamp


@dataclass(frozen=True, slots=True, order=True)
class LedgerAccount:
    """A row of the ledger. Orders like its primary key, so that writers never deadlock.

    `outcome` is an `LedgerOutcome`, or what `foreign_outcome` returns.
    """

    project_id: str
    minute: int
    stage: Stage
    outcome: str
    partition: int = NO_PARTITION


ForeignKind = Literal["ignored", "refused", "lost_before"]
FOREIGN_KINDS: Final[tuple[ForeignKind, ...]] = ("ignored", "refused", "lost_before")


def foreign_outcome(kind: ForeignKind, door: str, reason: str) -> str:
    """Name what became no event at a door for other products' clients; it stands beside the balance."""
    return f"{kind}:{door}:{reason}"


def foreign_parts(outcome: str) -> tuple[ForeignKind, str, str]:
    """Return kind, door and reason of an outcome that `foreign_outcome` named."""
    word, door, reason = outcome.split(":", 2)
    kind = next(known for known in FOREIGN_KINDS if known == word)
    return kind, door, reason


def is_foreign(outcome: str) -> bool:
    """Whether an outcome stands beside the balance, as `foreign_outcome` names it."""
    return outcome.partition(":")[0] in FOREIGN_KINDS and ":" in outcome


def place(
    event: Envelope | None, key: bytes | None, timestamp_ms: int, *, requeued: bool = False
) -> tuple[str, int]:
    """Return the project and the minute since the epoch under which a record is entered.

    The minute is that of receiving the event; of a requeued record it is that of the record itself,
    because the one of receiving has long been settled. What is no event (None) is entered under the
    project that its key names, empty when it names none, and the minute of the record.
    """
    project_id = event.project_id if event else project_of(key)
    if event and not requeued:
        return project_id, minute_of(event.received_at)
    return project_id, minute_of_timestamp(timestamp_ms)


def minute_of_timestamp(timestamp_ms: int) -> int:
    """Return the minute of a record's timestamp, 0 when the record has none that makes sense."""
    return timestamp_ms // (BUCKET_S * 1000) if 0 <= timestamp_ms < _MAX_MS else 0


def settled_before(complete_until: datetime | None) -> datetime | None:
    """Return the minute before which a stage has read everything that was received, None while unknown."""
    return complete_until and instant_of(minute_of(complete_until - GRACE))


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLine:
    """One stage's outcomes for the events of a project and minute, or of several.

    `expected` counts what was accepted and requeued for it, `outcomes` what it handled. Of the
    difference, `in_flight` waits to be read, `missing` is lost, and `unconfirmed` was handled without
    having been reported as accepted: a replica was killed first, or a client never got its answer.
    """

    stage: ReadingStage
    expected: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    in_flight: int = 0
    missing: int = 0
    unconfirmed: int = 0

    def plus(self, other: Self) -> Self:
        """Add another minute's line of the same stage."""
        outcomes = Counter(self.outcomes)
        outcomes.update(other.outcomes)
        return replace(
            self,
            expected=self.expected + other.expected,
            outcomes=dict(outcomes),
            in_flight=self.in_flight + other.in_flight,
            missing=self.missing + other.missing,
            unconfirmed=self.unconfirmed + other.unconfirmed,
        )


def line_of(stage: ReadingStage, events: Mapping[tuple[str, str], int], *, is_settled: bool) -> StageLine:
    """Balance one stage for one project and minute, from its events by (stage, outcome)."""
    outcomes = {outcome: count for (by, outcome), count in events.items() if by == stage}
    expected = events.get((INGEST, "accepted"), 0) + outcomes.pop("requeued", 0)
    difference = expected - sum(outcomes.values())
    return StageLine(
        stage=stage,
        expected=expected,
        outcomes=outcomes,
        in_flight=0 if is_settled else max(0, difference),
        missing=max(0, difference) if is_settled else 0,
        unconfirmed=max(0, -difference) if is_settled else 0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Whether the newest hour balances, and how many events are `missing`, by stage.

    `unknown` until both stages have settled some of it.
    """

    state: Literal["balanced", "unbalanced", "unknown"]
    missing: dict[ReadingStage, int]
