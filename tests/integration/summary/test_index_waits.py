"""Summaries wait for the search index in the queue, and are compared as soon as it is ready."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, Final, LiteralString
from uuid import UUID

import pytest

from shared_types import Tenancy
from signals.cases.making import make_case
from signals.clients.kafka import ENGINE_GROUP, INDEXER_GROUP, RAW_TOPIC
from signals.clients.llm import open_model
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.comparison import compare
from signals.clients.opensearch.connection import Client
from signals.clients.opensearch.index import labels_since
from signals.clients.opensearch.refresh import SharedRefresh
from signals.clients.postgres import transaction
from signals.services.summary import ComparisonSource, IncidentSummarizer, Policy
from signals.services.summary.turns import READERS
from signals.settings import ModelSettings
from signals.store.summary import index_waits
from tests.integration.summary.cases import Pool, job, jobs
from tests.support.case_index import index_case, store_case
from tests.support.model_server import ModelServer
from tests.support.waiting import pause, until

SEED: Final = 7
PATIENT_S: Final = 60.0
CALLERS: Final = 8
ASKING_S: Final = 1.0  # until each caller, once let go, has asked; some microseconds on a quiet machine
STAND: LiteralString = """
INSERT INTO pipeline.offsets (consumer_group, topic, partition, next_offset) VALUES (%s, %s, %s, %s)
ON CONFLICT (consumer_group, topic, partition) DO UPDATE SET next_offset = excluded.next_offset
"""
VERSIONS: LiteralString = """
SELECT model, content_json FROM ai_outputs WHERE incident_id = %s ORDER BY created_at, id
"""
AGED: LiteralString = "UPDATE ai_jobs SET created_at = now() + %s, run_after = now()"
OLD: Final = timedelta(seconds=-3)  # a part may be compared
NEW: Final = timedelta(minutes=10)  # however slow the machine is


def stands(pool: Pool, group: str, *next_offsets: int) -> None:
    """Let a group have read so far, by partition."""
    with transaction(pool) as connection:
        for partition, next_offset in enumerate(next_offsets):
            connection.execute(STAND, [group, RAW_TOPIC, partition, next_offset])


def versions(pool: Pool, incident_id: UUID) -> list[tuple[str, dict[str, Any]]]:
    """Return model and content of an incident's summaries, oldest first."""
    with pool.connection() as connection:
        return [(model, content) for model, content in connection.execute(VERSIONS, [incident_id])]


def with_findings(pool: Pool, incident_id: UUID) -> list[bool]:
    """Say of each version whether it has findings."""
    return ["findings" in content for _, content in versions(pool, incident_id)]


def aged(pool: Pool, since: timedelta) -> None:
    """Give every job an age."""
    with transaction(pool) as connection:
        connection.execute(AGED, [since])


def hasten(pool: Pool) -> int:
    """Make jobs due that the index is ready for, as a worker does."""
    with transaction(pool) as connection:
        return index_waits.hasten(connection, READERS)


@pytest.fixture
def source(opensearch: Client) -> ComparisonSource:
    """The real search."""
    return ComparisonSource(
        compare=partial(compare, opensearch, stop_s=PATIENT_S),
        labels_since=partial(labels_since, opensearch),
        refresh=SharedRefresh(opensearch, timeout_s=PATIENT_S),
    )


@contextmanager
def worker(
    pool: Pool, source: ComparisonSource, settings: ModelSettings | None = None
) -> Iterator[IncidentSummarizer]:
    """A worker, with a model when its settings are given."""
    settings = settings or ModelSettings()
    with (
        open_model(settings) as model,
        IncidentSummarizer(
            pool, model, Policy.of(settings), chance=lambda: 0.0, comparison=source
        ) as summarizer,
    ):
        yield summarizer


@pytest.fixture
def incident_id(pool: Pool, opensearch: Client) -> UUID:
    """An incident whose events are all in the index."""
    events, truth = make_case("zone_down", SEED)
    index_case(opensearch, events)
    return store_case(pool, events, truth)


def test_job_waits_in_the_queue_until_the_indexer_has_passed_the_engine(
    pool: Pool, source: ComparisonSource, incident_id: UUID
) -> None:
    stands(pool, ENGINE_GROUP, 100, 40)
    stands(pool, INDEXER_GROUP, 100, 39)
    aged(pool, NEW)
    with worker(pool, source) as summarizer:
        assert summarizer.run_one() is not None
        assert with_findings(pool, incident_id) == [False]
        assert (job(pool).status, job(pool).attempt_count) == ("queued", 0)
        assert hasten(pool) == 1
        assert summarizer.run_one() is None
        stands(pool, INDEXER_GROUP, 100, 40)
        assert hasten(pool) == 0
        assert summarizer.run_one() is not None
    assert with_findings(pool, incident_id) == [False, True]
    assert job(pool).status == "succeeded"


def test_events_after_the_first_run_are_not_waited_for(
    pool: Pool, source: ComparisonSource, incident_id: UUID
) -> None:
    stands(pool, ENGINE_GROUP, 100)
    stands(pool, INDEXER_GROUP, 50)
    aged(pool, NEW)
    with worker(pool, source) as summarizer:
        summarizer.run_one()
        stands(pool, ENGINE_GROUP, 100_000)
        stands(pool, INDEXER_GROUP, 100)
        hasten(pool)
        summarizer.run_one()
    assert with_findings(pool, incident_id) == [False, True]


def test_partition_that_the_indexer_never_read_is_waited_for(
    pool: Pool, source: ComparisonSource, incident_id: UUID
) -> None:
    stands(pool, ENGINE_GROUP, 100, 1)
    stands(pool, INDEXER_GROUP, 100)
    aged(pool, NEW)
    with worker(pool, source) as summarizer:
        summarizer.run_one()
    assert with_findings(pool, incident_id) == [False]
    assert hasten(pool) == 1


@pytest.mark.parametrize(
    ("missing", "expected"), [(20, [False, True]), (1_000_000, [False])], ids=["few", "most"]
)
def test_part_is_told_after_two_seconds_when_few_records_are_missing(
    pool: Pool, source: ComparisonSource, incident_id: UUID, missing: int, expected: list[bool]
) -> None:
    stands(pool, ENGINE_GROUP, missing)
    aged(pool, OLD)
    with worker(pool, source) as summarizer:
        summarizer.run_one()
        assert with_findings(pool, incident_id) == expected
        assert job(pool).status == "queued"
        stands(pool, INDEXER_GROUP, missing)
        hasten(pool)
        summarizer.run_one()
    assert with_findings(pool, incident_id) == [False, True]
    assert job(pool).status == "succeeded"


def test_waiting_jobs_hold_no_thread(pool: Pool, opensearch: Client, source: ComparisonSource) -> None:
    stands(pool, ENGINE_GROUP, 1)
    incidents = []
    for number in range(3):
        events, truth = make_case("zone_down", SEED + number)
        tenancy = Tenancy("org_1", f"proj_{number}")
        index_case(opensearch, events, tenancy)
        incidents.append(store_case(pool, events, truth, tenancy))
    aged(pool, NEW)
    settings = ModelSettings(signals_ai_concurrency=1)
    with worker(pool, source, settings) as summarizer:
        until(
            lambda: (
                summarizer.step(0.05) is not None
                and len(all_firsts(pool)) == len(incidents)
                and {row.status for row in jobs(pool)} == {"queued"}  # each is queued after its first version
            )
        )
        stands(pool, INDEXER_GROUP, 1)
        until(
            lambda: summarizer.step(0.05) is not None and {row.status for row in jobs(pool)} == {"succeeded"}
        )
    assert all(with_findings(pool, one) == [False, True] for one in incidents)


def all_firsts(pool: Pool) -> list[tuple[Any, ...]]:
    """Return the incidents that have a summary."""
    with pool.connection() as connection:
        return connection.execute("SELECT DISTINCT incident_id FROM ai_outputs").fetchall()


def test_indexed_events_are_made_searchable_at_once(
    pool: Pool, opensearch: Client, source: ComparisonSource
) -> None:
    opensearch.indices.put_settings(index=EVENTS_INDEX, body={"index": {"refresh_interval": "-1"}})
    events, truth = make_case("zone_down", SEED)
    index_case(opensearch, events, is_refreshed=False)
    incident_id = store_case(pool, events, truth)
    with worker(pool, source) as summarizer:
        summarizer.run_one()
    assert with_findings(pool, incident_id) == [False, True]


def test_callers_that_wait_share_one_refresh(opensearch: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    refresh, real, began = SharedRefresh(opensearch, timeout_s=PATIENT_S), opensearch.indices.refresh, [0]
    all_ask = threading.Barrier(CALLERS + 1)

    def counted(**options: Any) -> Any:
        began[0] += 1
        if began[0] == 1:  # it lasts until all others have asked
            all_ask.wait(PATIENT_S)
            pause(ASKING_S)
        return real(**options)

    def ask(_: int) -> bool:
        all_ask.wait(PATIENT_S)
        return refresh()

    monkeypatch.setattr(opensearch.indices, "refresh", counted)
    with ThreadPoolExecutor(CALLERS + 1) as pool:
        first = pool.submit(refresh)
        answers = list(pool.map(ask, range(CALLERS)))
    assert all((first.result(), *answers))
    assert 2 <= began[0] < CALLERS  # that under way, and mostly one for all who asked meanwhile


def test_index_that_cannot_refresh_is_compared_as_it_is() -> None:
    assert SharedRefresh(Client("http://127.0.0.1:1", max_retries=0))() is False


def test_findings_are_stored_before_the_model_is_asked(
    pool: Pool,
    source: ComparisonSource,
    incident_id: UUID,
    settings: ModelSettings,
    model_server: ModelServer,
) -> None:
    with worker(pool, source, settings) as summarizer:
        summarizer.run_one()
    assert model_server.calls
    assert [model for model, _ in versions(pool, incident_id)] == ["builtin", "builtin", "test-model"]
    assert with_findings(pool, incident_id) == [False, True, True]
