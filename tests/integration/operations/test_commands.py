"""`signals dlq` and what it does to the stages: seen, sent back, let go."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.kafka import DLQ_TOPIC, RAW_TOPIC
from signals.clients.kafka.consumer import Record
from signals.clients.kafka.dead_letter_log import open_dead_letter_log
from signals.clients.kafka.dead_letters import REQUEUED_FOR, DeadLetter, dead_letter
from signals.clients.kafka.publisher import OutgoingRecord, Publisher
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.errors import DependencyUnavailable
from signals.services.operations.dead_letters import DeadLetters, LetterSelection
from signals.settings import KafkaSettings
from tests.integration.operations.conftest import Open, Run, ledger_of, rows
from tests.support.consuming import drain
from tests.support.events import NOON, errors, publish

BINARY = bytes(range(256))
ESCAPES = b'{"message": "\x1b[2J\x1b]0;owned\x07"}'


@pytest.fixture
def poison(publisher: Publisher, both: Callable[[], None]) -> OutgoingRecord:
    """A record that is no event, with key and headers, given up by both stages."""
    record = OutgoingRecord(key=b"org_1|proj_1|custom", value=BINARY, headers=[("trace", b"\x00\xff")])
    publisher.publish_and_wait(RAW_TOPIC, [record])
    both()
    return record


def listed(run: Run, *arguments: str) -> list[dict[str, Any]]:
    result = run("list", "--json", *arguments)
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def letter_of(number: int, *, stage: str, value: bytes, error: str = "odd") -> DeadLetter:
    record = Record(RAW_TOPIC, 0, number, 1_700_000_000_000, b"org_1|proj_1|custom", value, None)
    return DeadLetter(record=record, stage=stage, error=error, reason="a test said so")


@pytest.mark.usefixtures("poison")
def test_a_letter_is_listed_with_its_origin_stage_and_reason(run: Run) -> None:
    both_letters = listed(run)
    assert {letter["stage"] for letter in both_letters} == {"incident-engine", "indexer"}
    assert {letter["error"] for letter in both_letters} == {"invalid_json"}
    (mine,) = listed(run, "--stage", "indexer", "--error", "invalid_json")
    assert mine["origin"]["topic"] == RAW_TOPIC
    assert mine["size_bytes"] == len(BINARY)
    assert listed(run, "--error", "something_else") == []
    shown = run("list").stdout
    assert "The record is not JSON." in shown
    assert "incident-engine" in shown


def test_the_order_and_the_number_of_letters_can_be_chosen(run: Run, publisher: Publisher) -> None:
    dead_letter(publisher, [letter_of(number, stage="indexer", value=b"x") for number in range(450)])
    newest = listed(run, "--limit", "300")
    assert [letter["origin"]["offset"] for letter in newest] == list(range(449, 149, -1))
    assert [letter["origin"]["offset"] for letter in listed(run, "--oldest", "--limit", "2")] == [0, 1]
    assert "There are more" in run("list").stdout


def test_bytes_are_shown_exactly_and_safely(run: Run, poison: OutgoingRecord, publisher: Publisher) -> None:
    (letter_id,) = [letter["id"] for letter in listed(run, "--stage", "indexer")]
    assert run("show", letter_id, "--raw").stdout_bytes == poison.value
    shown = run("show", letter_id)
    assert shown.exit_code == 0, shown.output
    assert "trace: 00 ff" in shown.stdout
    assert "f0 f1 f2" in shown.stdout
    assert "\x1b" not in shown.stdout
    dead_letter(publisher, [letter_of(1, stage="indexer", value=ESCAPES)])
    assert "\x1b" not in run("show", listed(run)[0]["id"]).stdout
    exact = json.loads(run("show", letter_id, "--json").stdout)
    assert exact["headers"] == [["trace", "AP8="]]


@pytest.mark.parametrize("name", ["0:99", "7:0", "99"])
def test_missing_letter_is_reported(run: Run, name: str) -> None:
    refused = run("show", name)
    assert refused.exit_code == 1
    assert "there is no dead letter" in refused.stderr


@pytest.mark.parametrize(
    "arguments", [(), ("--all", "0:1"), ("0:1", "--stage", "indexer"), ("one",), ("x:1",), ("1:",)]
)
def test_ambiguous_selection_is_refused(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("drop", "--yes", *arguments).exit_code == 2


@pytest.mark.usefixtures("poison")
def test_a_dropped_letter_is_listed_no_more_and_cannot_be_requeued(run: Run) -> None:
    first, second = (letter["id"] for letter in listed(run))
    assert "Dropped 1 dead letter." in run("drop", first, answer="y\n").stdout
    assert [letter["id"] for letter in listed(run)] == [second]
    assert {letter["verdict"] for letter in listed(run, "--settled")} == {None, "dropped"}
    again = run("requeue", first, "--yes")
    assert again.exit_code == 1
    assert "Requeued 0 dead letters. 1 left" in again.stdout


@pytest.mark.usefixtures("poison")
def test_missing_confirmation_changes_nothing(run: Run) -> None:
    assert run("requeue", "--all", answer="n\n").exit_code == 1
    assert len(listed(run)) == 2


def test_a_requeued_record_is_the_same_and_only_its_stage_handles_it(
    run: Run,
    poison: OutgoingRecord,
    publisher: Publisher,
    pool: ConnectionPool[Connection],
    both: Callable[[], None],
    kafka: KafkaSettings,
) -> None:
    requeued = run("requeue", "--all", "--stage", "indexer", "--yes")
    assert "Requeued 1 dead letter." in requeued.stdout
    both()
    again, at_first = listed(run)[0], listed(run, "--stage", "incident-engine")
    assert again["stage"] == "indexer"  # still broken: it was given up once more
    assert len(at_first) == 1
    assert ledger_of(pool) == {
        "incident-engine": {"dead_lettered": 1},
        "indexer": {"dead_lettered": 2, "requeued": 1},
    }
    exact = json.loads(run("show", again["id"], "--json").stdout)
    assert run("show", again["id"], "--raw").stdout_bytes == poison.value
    assert exact["key_base64"] == "b3JnXzF8cHJval8xfGN1c3RvbQ=="
    assert [name for name, _ in exact["headers"]] == ["trace", REQUEUED_FOR]
    run("requeue", again["id"], "--yes")
    both()
    (third,) = listed(run, "--stage", "indexer")
    headers = json.loads(run("show", third["id"], "--json").stdout)["headers"]
    assert [name for name, _ in headers] == ["trace", REQUEUED_FOR]


def test_a_letter_of_the_indexer_is_indexed_late_and_not_counted_again(
    run: Run,
    publisher: Publisher,
    pool: ConnectionPool[Connection],
    both: Callable[[], None],
    opensearch: Client,
) -> None:
    (event,) = errors(1, NOON)
    publish(publisher, [event])
    both()
    opensearch.delete(index=EVENTS_INDEX, id=str(event.event_id))  # as if it had been refused
    record = letter_of(0, stage="indexer", value=event.to_json())
    dead_letter(publisher, [record])
    with pool.connection() as connection:  # the window of recent ids must not be what saves the count
        connection.execute("UPDATE pipeline.offsets SET updated_at = updated_at - interval '1 day'")
    assert run("requeue", "--all", "--yes").exit_code == 0
    both()
    opensearch.indices.refresh(index=EVENTS_INDEX)
    assert opensearch.count(index=EVENTS_INDEX)["count"] == 1
    assert rows(pool, "SELECT sum(value) FROM metrics_buckets") == [(1,)]
    assert ledger_of(pool)["indexer"] == {"indexed": 2, "requeued": 1}
    assert ledger_of(pool)["incident-engine"] == {"counted": 1}


def test_a_letter_of_the_engine_that_became_valid_is_counted_once_and_indexed_never_twice(
    run: Run,
    publisher: Publisher,
    pool: ConnectionPool[Connection],
    both: Callable[[], None],
    opensearch: Client,
) -> None:
    (event,) = errors(1, NOON)
    dead_letter(publisher, [letter_of(0, stage="incident-engine", value=event.to_json())])
    dead_letter(publisher, [letter_of(0, stage="incident-engine", value=event.to_json())])  # a zombie's copy
    assert run("requeue", "--all", "--yes").exit_code == 0
    both()
    assert rows(pool, "SELECT sum(value) FROM metrics_buckets") == [(1,)]
    assert ledger_of(pool) == {"incident-engine": {"counted": 1, "duplicate": 1, "requeued": 2}}
    opensearch.indices.refresh(index=EVENTS_INDEX)
    assert opensearch.count(index=EVENTS_INDEX)["count"] == 0


def test_foreign_record_in_the_topic_is_shown_and_kept(run: Run, publisher: Publisher) -> None:
    publisher.publish_and_wait(DLQ_TOPIC, [OutgoingRecord(key=None, value=b"foreign")])
    dead_letter(publisher, [letter_of(0, stage="nobody", value=b"x")])
    assert [letter["stage"] for letter in listed(run)] == ["nobody", None]
    assert "foreign" in run("show", "0").stdout
    assert run("list").exit_code == 0
    requeued = run("requeue", "--all", "--yes")
    assert "Requeued 0 dead letters. 2 left" in requeued.stdout
    assert run("drop", "--all", "--yes").exit_code == 0
    assert listed(run) == []


class CrashingPublisher(Publisher):
    """Publishes, then the process dies before the transaction commits."""

    def publish_and_wait(self, topic: str, records: Any) -> None:
        """Publish and fail."""
        super().publish_and_wait(topic, records)
        raise DependencyUnavailable("Kafka", "the plug was pulled")


def test_a_crash_between_publishing_and_deciding_counts_once(
    publisher: Publisher, pool: ConnectionPool[Connection], kafka: KafkaSettings, engine: Open
) -> None:
    (event,) = errors(1, NOON)
    dead_letter(publisher, [letter_of(0, stage="incident-engine", value=event.to_json())])
    crashing = CrashingPublisher(publisher._producer)
    with open_dead_letter_log(kafka) as log:
        letters = DeadLetters(log, pool)

        def undecided() -> Iterator[Any]:
            return letters.select(letters.ranges(), LetterSelection(), newest_first=False)

        with pytest.raises(DependencyUnavailable):
            letters.requeue(crashing, undecided())
        assert letters.requeue(publisher, undecided()) == 1
        assert letters.requeue(publisher, undecided()) == 0
    crashing.close()
    with engine() as session:
        drain(session)
    assert rows(pool, "SELECT sum(value) FROM metrics_buckets") == [(1,)]


def test_letters_of_a_recreated_topic_are_new(
    run: Run, publisher: Publisher, pool: ConnectionPool[Connection]
) -> None:
    dead_letter(publisher, [letter_of(0, stage="indexer", value=b"x")])
    with pool.connection() as connection:
        connection.execute(
            "INSERT INTO pipeline.dead_letters_settled VALUES (0, 0, now() - interval '1 day', 'dropped')"
        )
    assert len(listed(run)) == 1
    assert run("drop", "0", "--yes").exit_code == 0
    assert listed(run) == []
