"""Sorts a poll's records out before the transaction: what counts, what repeats, what is broken."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, groupby
from operator import attrgetter
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

_PROJECT: Final = attrgetter("project_id")
_RECEIVED: Final = attrgetter("received_minute")
_KEY: Final = attrgetter("key")
_OFFSET: Final = attrgetter("offset")
_TIMESTAMP: Final = attrgetter("timestamp_ms")
_IS_DEPLOY: Final = attrgetter("is_deploy")
_HEADERS: Final = attrgetter("headers")


@dataclass(slots=True)
class _Events:
    """Records, and what was read of each.

    Lists beside each other, because the garbage collector would go through thousands of pairs.
    """

    records: list[Record] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)

    def of(self, outcomes: Sequence[LedgerOutcome], wanted: LedgerOutcome) -> "_Events":
        """Return the events with this outcome; `outcomes` has one for each."""
        count = outcomes.count(wanted)
        if count == len(outcomes):
            return self
        chosen = [outcome == wanted for outcome in outcomes] if count else []
        return _Events([*compress(self.records, chosen)], [*compress(self.sightings, chosen)])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Records of one partition in its order; new ones, or such as were counted before.

    `is_requeued`: they came back from the dead letters.
    """

    partition: int
    records: list[Record]
    is_new: bool
    is_requeued: bool


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
        self._entries: Counter[tuple[str, int, LedgerOutcome, int]] = Counter()
        self._new_ids: dict[int, _NewIds] = {}
        self._new_keys: set[bytes] = set()

    def add_all(self, records: Sequence[Record]) -> None:
        """Take records in; those of partitions lost meanwhile are ignored.

        What was counted before comes before what is new, and only refills the recent ids.
        """
        runs = [(run, self._read(run)) for run in self._runs(records)]
        rules = self._rules_of({one for _, events in runs for one in map(_PROJECT, events.sightings)})
        for run, events in runs:
            self._take(run, events, rules)

    def _runs(self, records: Iterable[Record]) -> list[_Run]:
        """Divide the records of owned partitions, so that what holds for one of a run holds for all."""
        by_partition: defaultdict[int, list[Record]] = defaultdict(list)
        for record in records:
            by_partition[record.partition].append(record)
        counted: list[_Run] = []
        new: list[_Run] = []
        for partition, found in by_partition.items():
            counted_until = self._counted_until.get(partition)
            if counted_until is None:
                continue
            old, fresh = list[Record](), found
            if min(map(_OFFSET, found)) < counted_until:
                old = [one for one in found if one.offset < counted_until]
                fresh = [one for one in found if one.offset >= counted_until]
            counted += _runs_of(partition, old, is_new=False)
            new += _runs_of(partition, fresh, is_new=True)
            if fresh:
                self.next_offsets[partition] = fresh[-1].offset + 1
        return [*counted, *new]

    def _read(self, run: _Run) -> _Events:
        """Return the records that are events."""
        events = _Events()
        read, keep, keep_record = self._reader.read, events.sightings.append, events.records.append
        for record in run.records:
            try:
                keep(read(record.value))
            except InvalidEvent as error:
                if run.is_new:  # otherwise it was dead-lettered when it was read the first time
                    self._give_up(record, error)
            else:
                keep_record(record)
        return events

    def _take(self, run: _Run, events: _Events, rules: Mapping[str, RuleIndex]) -> None:
        """Decide what becomes of a run's events."""
        recent, known = self._recent.keys, self._new_keys
        outcomes: list[LedgerOutcome] = []
        for record, sighting in zip(events.records, events.sightings, strict=True):
            hits: Sequence[RuleHit] = ()
            if rules and (own := rules.get(sighting.project_id)):
                hits = own.hits(sighting.kind, sighting.severity, sighting.status_code)
            if sighting.series is None and not hits:
                outcomes.append("uncounted")
                continue
            key = sighting.key
            if key in recent or key in known:
                outcomes.append("duplicate")
                continue
            known.add(key)
            outcomes.append("counted")
            if run.is_new:
                for hit in hits:
                    self.own.add(hit, sighting, record.value, run.partition)
        counted = events.of(outcomes, "counted")
        self._note_ids(run.partition, counted)
        if run.is_new:
            self.tally.add_all(counted.sightings, counted.records, run.partition)
            self.duplicates += outcomes.count("duplicate")
            self._note_deploys(events)
            self._enter(run, events, outcomes)

    def _note_ids(self, partition: int, counted: _Events) -> None:
        if not counted.records:
            return
        new = self._new_ids.setdefault(partition, _NewIds())
        new.keys += map(_KEY, counted.sightings)
        new.last_offset = counted.records[-1].offset
        new.newest_ms = max(new.newest_ms, *map(_TIMESTAMP, counted.records))

    def _note_deploys(self, events: _Events) -> None:
        if any(map(_IS_DEPLOY, events.sightings)):
            self.deploys += [
                deploy_of(parse_envelope(record.value))
                for record, sighting in zip(events.records, events.sightings, strict=True)
                if sighting.is_deploy and sighting.series is None
            ]

    def _enter(self, run: _Run, events: _Events, outcomes: Sequence[LedgerOutcome]) -> None:
        """Enter a run's events in the ledger, under the minute of receiving, or of their return (`place`)."""
        minutes = map(_RECEIVED, events.sightings)
        if run.is_requeued:
            minutes = map(minute_of_timestamp, map(_TIMESTAMP, events.records))
        entered = Counter(zip(map(_PROJECT, events.sightings), minutes, outcomes, strict=True))
        for (project_id, minute, outcome), count in entered.items():
            self._entries[project_id, minute, outcome, run.partition] += count

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


def _runs_of(partition: int, records: list[Record], *, is_new: bool) -> Iterator[_Run]:
    """Leave out what was handled here before the other stage gave it up; what came back is a run apart."""
    if not any(map(_HEADERS, records)):
        if records:
            yield _Run(partition=partition, records=records, is_new=is_new, is_requeued=False)
        return
    for stage, group in groupby(records, requeued_for):
        if stage in (None, STAGE):
            yield _Run(partition=partition, records=list(group), is_new=is_new, is_requeued=stage is not None)
