"""The operator's work on dead letters: list them, requeue them for their stage, or discard them.

A letter is decided once. What goes back is published before the decision is stored, so that a crash in
between sends a record twice at most, which its event id absorbs; it is never lost.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from psycopg_pool import ConnectionPool

from shared_types import Envelope, InvalidEvent, parse_envelope
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.consumer import Record
from signals.clients.kafka.dead_letter_log import DeadLetterLog, Ranges
from signals.clients.kafka.dead_letters import DeadLetter, opened, requeued
from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection, transaction
from signals.domain.ledger import STAGES, LedgerAccount, place
from signals.store.ledger import ledger
from signals.store.ledger.dead_letters_settled import LetterPlace, LetterVerdict, settle, verdicts

MAX_BYTES: Final = 8 * 1024 * 1024  # sent back in one transaction; far below the publisher's budget
MAX_LETTERS: Final = 500
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLetter:
    """A dead letter, where it lies and what was decided; `letter` is None when it is not one of ours."""

    place: LetterPlace
    verdict: LetterVerdict | None
    record: Record
    letter: DeadLetter | None

    @property
    def project_id(self) -> str:
        """The project of its event, else the one that its key names; empty when it names none."""
        if self.letter is None:
            return ""
        return place(_event(self.letter), self.letter.record.key, 0, requeued=True)[0]

    @property
    def returnable(self) -> DeadLetter | None:
        """The letter if a stage that exists gave up a record of the topic that all stages read."""
        letter = self.letter
        known = letter is not None and letter.record.topic == RAW_TOPIC and letter.stage in STAGES
        return letter if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterSelection:
    """Which letters are wanted; None stands for any, and those decided are left out unless `settled`."""

    stage: str | None = None
    error: str | None = None
    settled: bool = False
    project_id: str | None = None

    def takes(self, stored: StoredLetter) -> bool:
        """Whether this letter is wanted."""
        letter = stored.letter
        if stored.verdict is not None and not self.settled:
            return False
        return all(
            wanted is None or (letter is not None and wanted == found)
            for wanted, found in (
                (self.stage, letter and letter.stage),
                (self.error, letter and letter.error),
                (self.project_id, stored.project_id if self.project_id is not None else None),
            )
        )


class DeadLetters:
    """The letters in Kafka, together with what PostgreSQL knows of them."""

    def __init__(self, log: DeadLetterLog, pool: ConnectionPool[Connection]) -> None:
        self._log = log
        self._pool = pool

    def ranges(self) -> Ranges:
        """Return the offsets of the letters of now; letters that arrive later lie outside.

        Raises:
            DependencyUnavailable: when Kafka does not answer.
        """
        return self._log.ranges()

    def select(
        self, within: Ranges, selection: LetterSelection, *, newest_first: bool
    ) -> Iterator[StoredLetter]:
        """Read the letters that are wanted, partition by partition.

        Raises:
            DependencyUnavailable: when Kafka or PostgreSQL does not answer.
        """
        for piece in self._log.pieces(within, newest_first=newest_first):
            yield from filter(selection.takes, self._known(piece))

    def find(self, partition: int, letter_offset: int) -> StoredLetter | None:
        """Return one letter, None when there is none at this place (any more).

        Raises:
            DependencyUnavailable: when Kafka or PostgreSQL does not answer.
        """
        oldest, end = self._log.ranges().get(partition, (0, 0))
        if not oldest <= letter_offset < end:
            return None
        found = self._known(self._log.read(partition, letter_offset, letter_offset + 1))
        return found[0] if found else None

    def requeue(self, publisher: Publisher, letters: Iterable[StoredLetter]) -> int:
        """Send letters back to the stage that gave them up; return how many, without those decided already.

        Raises:
            DependencyUnavailable: when Kafka or PostgreSQL fails; then some may be back, still undecided.
        """
        return sum(self._requeue(publisher, batch) for batch in _batches(letters))

    def drop(self, letters: Iterable[StoredLetter]) -> int:
        """Let letters go: they are listed no more; return how many, without those decided already.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        dropped = 0
        for batch in _batches(letters):
            with transaction(self._pool) as connection:
                dropped += len(settle(connection, [stored.place for stored in batch], "dropped"))
        return dropped

    def _requeue(self, publisher: Publisher, batch: Sequence[StoredLetter]) -> int:
        returnable = {stored.place: stored.returnable for stored in batch}
        with transaction(self._pool) as connection:
            places = settle(connection, [p for p, letter in returnable.items() if letter], "requeued")
            back = [letter for place_ in places if (letter := returnable[place_])]
            at = datetime.now(UTC)
            publisher.publish_and_wait(RAW_TOPIC, [requeued(letter, at) for letter in back])
            ledger.add(connection, _accounts(back, at))
        return len(back)

    def _known(self, records: Sequence[Record]) -> list[StoredLetter]:
        places = [
            LetterPlace(record.partition, record.offset, EPOCH + timedelta(milliseconds=record.timestamp_ms))
            for record in records
        ]
        with transaction(self._pool) as connection:
            decided = verdicts(connection, places)
        return [
            StoredLetter(place=found, verdict=decided.get(found), record=record, letter=opened(record))
            for found, record in zip(places, records, strict=True)
        ]


def _batches(letters: Iterable[StoredLetter]) -> Iterator[list[StoredLetter]]:
    batch: list[StoredLetter] = []
    size = 0
    for letter in letters:
        if batch and (size + len(letter.record.value) > MAX_BYTES or len(batch) == MAX_LETTERS):
            yield batch
            batch, size = [], 0
        batch.append(letter)
        size += len(letter.record.value)
    if batch:
        yield batch


def _accounts(letters: Sequence[DeadLetter], at: datetime) -> Mapping[LedgerAccount, int]:
    """Enter letters under the minute in which they came back, as the stage will that handles them."""
    return Counter(_account(letter, int(at.timestamp() * 1000)) for letter in letters)


def _account(letter: DeadLetter, timestamp_ms: int) -> LedgerAccount:
    project_id, minute = place(_event(letter), letter.record.key, timestamp_ms, requeued=True)
    stage = next(stage for stage in STAGES if stage == letter.stage)
    return LedgerAccount(project_id=project_id, minute=minute, stage=stage, outcome="requeued")


def _event(letter: DeadLetter) -> Envelope | None:
    try:
        return parse_envelope(letter.record.value)
    except InvalidEvent:
        return None
