"""Which dead letters an operator has dealt with; the topic itself is append-only."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, LiteralString

import orjson

from signals.clients.postgres import Connection

LetterVerdict = Literal["requeued", "dropped"]


@dataclass(frozen=True, slots=True)
class LetterPlace:
    """Where a dead letter lies in `signals.dlq.v1`, and when it was written there.

    The time tells letters of a recreated topic from those that had the same offsets before.
    """

    partition: int
    letter_offset: int
    buried_at: datetime


SETTLED: LiteralString = """
SELECT s.partition, s.letter_offset, s.buried_at, s.verdict
FROM json_to_recordset(%(places)s::json) AS p(partition int, letter_offset bigint, buried_at timestamptz)
JOIN pipeline.dead_letters_settled s USING (partition, letter_offset, buried_at)
"""


def verdicts(connection: Connection, places: Collection[LetterPlace]) -> Mapping[LetterPlace, LetterVerdict]:
    """Return what was decided about these letters; those still open are missing."""
    rows = connection.execute(SETTLED, {"places": orjson.dumps(list(places)).decode()}).fetchall()
    return {
        LetterPlace(partition, offset, buried_at): verdict for partition, offset, buried_at, verdict in rows
    }


SETTLE: LiteralString = """
INSERT INTO pipeline.dead_letters_settled AS s (partition, letter_offset, buried_at, verdict)
SELECT p.partition, p.letter_offset, p.buried_at, %(verdict)s
FROM json_to_recordset(%(places)s::json) AS p(partition int, letter_offset bigint, buried_at timestamptz)
ORDER BY p.partition, p.letter_offset
ON CONFLICT (partition, letter_offset) DO UPDATE
    SET buried_at = excluded.buried_at, verdict = excluded.verdict, settled_at = now()
    WHERE s.buried_at <> excluded.buried_at
RETURNING s.partition, s.letter_offset, s.buried_at
"""


def settle(
    connection: Connection, places: Collection[LetterPlace], verdict: LetterVerdict
) -> Sequence[LetterPlace]:
    """Note a verdict on letters still open; return those it hit.

    A second operator who settles the same letter waits for the first one's transaction and then misses.
    """
    parameters = {"places": orjson.dumps(list(places)).decode(), "verdict": verdict}
    return [LetterPlace(*row) for row in connection.execute(SETTLE, parameters).fetchall()]
