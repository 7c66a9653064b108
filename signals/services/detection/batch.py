"""Sorts a poll's records out before the transaction: what counts, what repeats, what is broken."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared_types import InvalidEvent, parse_envelope
from signals.clients.kafka.consumer import Record
from signals.clients.kafka.dead_letters import DeadLetter, not_an_event, requeued_for
from signals.domain.deploys.deploy import Deploy, deploy_of
from signals.domain.detection.recent_ids import RecentIds
from signals.domain.detection.rule_index import RuleHit, RuleIndex
from signals.domain.events.sightings import Sighting, SightingReader
from signals.domain.ledger import LedgerAccount, LedgerOutcome, Stage, minute_of_timestamp, place
from signals.services.detection.own_tally import OwnTally
from signals.services.detection.tally import BatchTally

RulesOf = Callable[[Collection[str]], Mapping[str, RuleIndex]]
"""Returns the own rules of those projects that have some."""

STAGE: Final[Stage] = "incident-engine"


@dataclass(slots=True)
class _NewIds:
    """Ids that a batch adds to the recent ids of one partition."""

    keys: list[bytes] = field(default_factory=list)
    last_offset: int = 0
    newest_ms: int = 0


class CountedBatch:
    """A poll's outcome, of the partitions that `counted_until` names. It changes nothing of the session's."""

    def __init__(
        self,
        counted_until: Mapping[int, int],
        recent: RecentIds,
        reader: SightingReader,
        rules_of: RulesOf,
    ) -> None:
        self.tally = BatchTally()
        self.own = OwnTally()
        self.dead_letters: list[DeadLetter] = []
        self.deploys: list[Deploy] = []
        self.duplicates = 0
        self.next_offsets: dict[int, int] = {}
        self._counted_until = counted_until
        self._recent = recent
        self._reader = reader
        self._rules_of = rules_of
        self._entries: defaultdict[tuple[str, int, LedgerOutcome, int], int] = defaultdict(int)
        self._new_ids: defaultdict[int, _NewIds] = defaultdict(_NewIds)
        self._new_keys: set[bytes] = set()

    def add_all(self, records: Sequence[Record]) -> None:
        """Take records in; those of partitions lost meanwhile are ignored.

        What was counted before comes before what is new, and only refills the recent ids.
        """
        entries = self._entries
        read, sightings = self._read(records)
        rules = self._rules_of({sighting.project_id for sighting in sightings})
        for record, sighting in zip(read, sightings, strict=True):
            project_id, partition = sighting.project_id, record.partition
            own = rules.get(project_id)
            hits = own.hits(sighting.kind, sighting.severity, sighting.status_code) if own else ()
            is_new = record.offset >= self._counted_until[partition]
            outcome = self._take(sighting, record, hits, is_new=is_new)
            if is_new:
                entries[project_id, _minute(sighting, record), outcome, partition] += 1

    def _read(self, records: Sequence[Record]) -> tuple[list[Record], list[Sighting]]:
        """Read the records of owned partitions; return those that are events, and what was read of each.

        Lists beside each other, because the garbage collector would go through thousands of pairs.
        """
        read: list[Record] = []
        sightings: list[Sighting] = []
        for record in records:
            counted_until = self._counted_until.get(record.partition)
            if counted_until is None:
                continue
            is_new = record.offset >= counted_until
            if is_new:
                self.next_offsets[record.partition] = record.offset + 1
            if record.headers and requeued_for(record) not in (None, STAGE):
                continue  # handled here before the other stage gave it up
            try:
                sightings.append(self._reader.read(record.value))
            except InvalidEvent as error:
                if is_new:  # otherwise it was dead-lettered when it was read the first time
                    self._give_up(record, error)
            else:
                read.append(record)
        return read, sightings

    def _take(
        self, sighting: Sighting, record: Record, hits: Sequence[RuleHit], *, is_new: bool
    ) -> LedgerOutcome:
        series, key = sighting.series, sighting.key
        if series is None and sighting.is_deploy and is_new:
            self.deploys.append(deploy_of(parse_envelope(record.value)))
        if series is None and not hits:
            return "uncounted"
        if key in self._recent or key in self._new_keys:
            self.duplicates += is_new
            return "duplicate"
        self._new_keys.add(key)
        new = self._new_ids[record.partition]
        new.keys.append(key)
        new.last_offset = record.offset
        if record.timestamp_ms > new.newest_ms:
            new.newest_ms = record.timestamp_ms
        if is_new:
            if series is not None:
                self.tally.add(series, sighting, record.value, record.partition)
            for hit in hits:
                self.own.add(hit, sighting, record.value, record.partition)
        return "counted"

    def _give_up(self, record: Record, error: InvalidEvent) -> None:
        self.dead_letters.append(not_an_event(record, STAGE, error))
        project_id, minute = place(None, record.key, record.timestamp_ms)
        self._entries[project_id, minute, "dead_lettered", record.partition] += 1

    def entries(self) -> dict[LedgerAccount, int]:
        """Return the batch's account for the ledger."""
        return {
            LedgerAccount(project_id, minute, STAGE, outcome, partition): events
            for (project_id, minute, outcome, partition), events in self._entries.items()
        }

    def remember_ids(self) -> None:
        """Add the ids of a committed batch to the recent ones."""
        for number, new in self._new_ids.items():
            self._recent.add(number, new.keys, new.last_offset, new.newest_ms)


def _minute(sighting: Sighting, record: Record) -> int:
    """Return the ledger's minute: of receiving, or of the record when it came back (see `place`)."""
    is_requeued = record.headers and requeued_for(record)
    return minute_of_timestamp(record.timestamp_ms) if is_requeued else sighting.received_minute
