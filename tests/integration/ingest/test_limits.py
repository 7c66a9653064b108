"""Keys are held to a rate and a daily quota that all replicas share, for a handful of statements."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from psycopg_pool import ConnectionPool
from pydantic import SecretStr
from typer.testing import CliRunner

from signals.cli import app as cli
from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection, conninfo, open_pool
from signals.domain.access.limits import Exceeded, KeyLimits
from signals.errors import DependencyUnavailable
from signals.local.processes.ports import free_port
from signals.services.access.provisioning import IssuedKey, limit_key
from signals.services.access.quotas import Quotas
from signals.settings import PostgresSettings
from tests.integration.ingest.conftest import Stored, ingest_client
from tests.integration.ingest.shapes import assert_problem, body
from tests.support.waiting import until

KEY = UUID(int=7)
Pool = ConnectionPool[Connection]
Replica = Callable[..., Quotas]


@pytest.fixture
def replica(pool: Pool) -> Iterator[Replica]:
    """Make the limits of one more replica."""
    with ExitStack() as stack:
        yield lambda **clocks: stack.enter_context(Quotas(pool, **clocks))


def _reserve(quotas: Quotas, limits: KeyLimits, count: int) -> Exceeded | None:
    """Reserve like a request does: try again after each lease."""
    for _ in range(50):
        reserved = quotas.reserve(KEY, limits, count)
        if reserved is None or isinstance(reserved, Exceeded):
            return reserved
        reserved.result(timeout=20)
    raise AssertionError("always one lease short")


def test_two_replicas_share_one_rate(replica: Replica) -> None:
    limits = KeyLimits(events_per_second=20)
    replicas, taken, began = (replica(), replica()), 0, time.monotonic()

    def three_seconds_are_taken() -> bool:
        nonlocal taken
        taken += sum(_reserve(quotas, limits, 1) is None for quotas in replicas)
        return time.monotonic() - began > 3 and taken >= 2 * limits.events_per_second

    until(three_seconds_are_taken, every_s=0.002)
    elapsed_s = time.monotonic() - began
    assert taken <= limits.events_per_second * (elapsed_s + 1) + 2 * limits.rate_lease


def test_retry_after_names_the_earliest_time_of_success(replica: Replica) -> None:
    quotas, limits, began = replica(), KeyLimits(events_per_second=50), time.monotonic()
    assert _reserve(quotas, limits, 250) is None, "a batch may overdraw the bucket"
    refused, at = _reserve(quotas, limits, 1), time.monotonic()
    assert isinstance(refused, Exceeded)
    assert 4 - (at - began) < refused.retry_after_s < 4.2, (
        "200 are owed, and a tenth of a second must be there"
    )
    last_refusal_s = _last_refusal_s(lambda: _reserve(quotas, limits, 1) is None, at)
    assert refused.retry_after_s - 0.05 < time.monotonic() - at
    assert last_refusal_s < refused.retry_after_s + 1


def _last_refusal_s(is_granted: Callable[[], bool], since: float) -> float:
    """Try until it is granted; return when the last try began that was refused, in seconds after `since`."""
    refusals = [0.0]

    def try_again() -> bool:
        refusals.append(time.monotonic() - since)
        return is_granted()

    until(try_again, every_s=0.01)
    return refusals[-2]


def test_quota_ends_exactly_and_is_renewed_at_midnight(replica: Replica) -> None:
    present = datetime(2026, 3, 1, 23, 59, 30, tzinfo=UTC)
    clock = {"s": 0.0}
    clocks = {"calendar": lambda: present + timedelta(seconds=clock["s"]), "clock": lambda: clock["s"]}
    limits, replicas = KeyLimits(events_per_day=1_000), (replica(**clocks), replica(**clocks))
    taken = [_reserve(replicas[n % 2], limits, 7) for n in range(140)]
    assert taken == [None] * 140, "980 of 1,000"
    assert isinstance(_reserve(replicas[0], limits, 100), Exceeded), "a batch is refused whole"
    clock["s"] = 10  # what the other replica leased and does not use is given back
    for quotas in replicas:
        quotas.flush()
    assert [_reserve(replicas[0], limits, 1) for _ in range(20)] == [None] * 20
    refused = _reserve(replicas[1], limits, 1)
    assert refused == Exceeded(limit="events_per_day", allowed=1_000, retry_after_s=20.0)
    clock["s"] = 29.9
    assert isinstance(_reserve(replicas[1], limits, 1), Exceeded)
    clock["s"] = 30
    assert _reserve(replicas[1], limits, 1) is None


def test_limits_cost_few_statements_and_no_limits_cost_none(pool: Pool, replica: Replica) -> None:
    quotas = replica()
    before = pool.get_stats().get("requests_num", 0)
    assert [quotas.reserve(KEY, KeyLimits(), 1) for _ in range(1_000)] == [None] * 1_000
    assert pool.get_stats().get("requests_num", 0) == before
    limits = KeyLimits(events_per_second=10_000, events_per_day=1_000_000)
    assert [_reserve(quotas, limits, 1) for _ in range(5_000)] == [None] * 5_000
    assert pool.get_stats().get("requests_num", 0) - before <= 5
    flood = [_reserve(quotas, KeyLimits(events_per_second=1), 1) for _ in range(6_000)]
    assert isinstance(flood[-1], Exceeded)
    assert pool.get_stats().get("requests_num", 0) - before <= 5 + 60


def test_replica_without_postgresql_grants_the_rate_and_a_tenth_of_the_quota() -> None:
    url = SecretStr(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
    with open_pool_unchecked(PostgresSettings(database_url=url)) as pool, Quotas(pool) as quotas:
        limits = KeyLimits(events_per_second=100, events_per_day=1_000)
        assert _reserve(quotas, limits, 60) is None
        assert isinstance(_reserve(quotas, limits, 60), Exceeded), "at its rate"
        quota_only = KeyLimits(events_per_day=1_000)
        assert _reserve(quotas, quota_only, 40) is None
        with pytest.raises(DependencyUnavailable):
            _reserve(quotas, quota_only, 1)


def open_pool_unchecked(settings: PostgresSettings) -> Pool:
    """A pool that gives up at once: no server listens there."""
    return ConnectionPool(lambda: conninfo(settings), min_size=0, max_size=1, timeout=0.2, open=False)


def test_refused_batch_publishes_nothing_and_names_retry_after(
    pool: Pool, publisher: Publisher, key: IssuedKey, stored: Stored
) -> None:
    headers = {"Authorization": f"Bearer {key.text}"}
    limit_key(pool, key.key_id, events_per_second=None, events_per_day=3)
    with ingest_client(pool, publisher, limits=KeyLimits(events_per_second=1_000)) as client:
        assert client.post("/v1/events/batch", json=[body()] * 2, headers=headers).status_code == 202
        answer = client.post("/v1/events/batch", json=[body()] * 2, headers=headers)
        problem = assert_problem(answer, 429, "limit_exceeded")
        assert (problem["limit"], problem["allowed"]) == ("events_per_day", 3)
        tomorrow = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        assert abs(int(answer.headers["retry-after"]) - (tomorrow - datetime.now(UTC)).total_seconds()) < 60
        assert client.post("/v1/events", json=body(), headers=headers).status_code == 202
        assert client.post("/v1/events", json=body(), headers=headers).status_code == 429
    assert len(stored()) == 3


def test_retry_after_of_the_rate_is_in_whole_seconds(
    pool: Pool, publisher: Publisher, key: IssuedKey
) -> None:
    headers = {"Authorization": f"Bearer {key.text}"}
    with ingest_client(pool, publisher, limits=KeyLimits(events_per_second=10)) as client:
        assert client.post("/v1/events/batch", json=[body()] * 60, headers=headers).status_code == 202
        answer, at = client.post("/v1/events", json=body(), headers=headers), time.monotonic()
        assert_problem(answer, 429, "limit_exceeded")
        wait_s = int(answer.headers["retry-after"])
        assert 1 <= wait_s <= 6
        last_refusal_s = _last_refusal_s(
            lambda: client.post("/v1/events", json=body(), headers=headers).status_code == 202, at
        )
        assert wait_s - 1.1 < time.monotonic() - at
        assert last_refusal_s < wait_s + 1


def test_the_command_sets_limits_and_lists_them(
    database: PostgresSettings, key: IssuedKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.database_url.get_secret_value())
    monkeypatch.setenv("PG_SSLMODE", "disable")
    limited = CliRunner().invoke(cli, ["keys", "limit", str(key.key_id), "--events-per-second", "50"])
    assert (limited.exit_code, "50 events a second" in limited.output) == (0, True)
    with open_pool(database, size=1) as pool, pool.connection() as connection:
        row = connection.execute(
            "SELECT events_per_second, events_per_day FROM pipeline.key_limits"
        ).fetchone()
    assert row == (50, None)
    assert '"events_per_second": 50' in CliRunner().invoke(cli, ["keys", "list", "--json"]).output
    assert CliRunner().invoke(cli, ["keys", "limit", str(UUID(int=1))]).exit_code == 1
