"""Deploys from Kafka to readers: exact under redelivery, isolated, compared."""

from datetime import datetime, timedelta

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from shared_types import Envelope, Environment, Tenancy
from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection
from signals.services.deploys.views import DeployRequest, Deploys
from tests.integration.core.conftest import Keys
from tests.integration.core.conftest import anonymous as anonymous
from tests.integration.core.conftest import keys as keys
from tests.integration.core.conftest import reader as reader
from tests.integration.detection.test_detecting import Open, rows
from tests.integration.detection.test_detecting import engine as engine
from tests.support.consuming import drain
from tests.support.events import NOON, TENANCY, errors, event, publish

OTHER = Tenancy("org_2", "proj_2")


def _deploy(at: datetime, release: str, service: str | None = None) -> Envelope:
    return event("deploy", at, release=release, service=service)


def _deploys(pool: ConnectionPool[Connection], now: datetime = NOON + timedelta(hours=3)) -> Deploys:
    return Deploys(pool, lambda: now)


@pytest.fixture
def outage() -> list[Envelope]:
    """A quiet hour, a deploy, and failures from four minutes after it on."""
    before = list(errors(20, NOON, every_s=180))
    after = list(errors(200, NOON + timedelta(minutes=64), every_s=1))
    return [*before, _deploy(NOON + timedelta(minutes=60), "r2", service="shop"), *after]


def test_redelivered_deploy_is_one_row(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    one = _deploy(NOON, "r1")
    publish(publisher, [one, one])
    with engine() as session:
        drain(session)
    publish(publisher, [one, _deploy(NOON, "r2")])
    with engine() as session:
        drain(session)
    assert rows(pool, "SELECT release FROM pipeline.deploys ORDER BY 1") == [("r1",), ("r2",)]
    outcomes = rows(pool, "SELECT outcome, sum(events) FROM pipeline.ledger GROUP BY 1")
    assert outcomes == [("uncounted", 4)]


def _queued(pool: ConnectionPool[Connection]) -> int:
    [(queued,)] = rows(pool, "SELECT count(*) FROM ai_jobs WHERE status = 'queued'")
    return int(queued)


def test_late_deploy_has_the_incident_summarized_again(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    begins = NOON + timedelta(minutes=60)
    publish(publisher, list(errors(45, begins, every_s=1)))
    with engine() as session:
        drain(session)
    [(opened_at,)] = rows(pool, "SELECT opened_at FROM incidents")
    with pool.connection() as connection:
        connection.execute("UPDATE ai_jobs SET status = 'succeeded'")
    elsewhere = _deploy(begins, "r1").model_copy(update={"environment": Environment.STAGING})
    others = [
        _deploy(opened_at + timedelta(seconds=1), "after it"),
        _deploy(opened_at - timedelta(minutes=61), "too old"),
        event("deploy", begins, tenancy=OTHER, release="theirs"),
        elsewhere,
    ]
    publish(publisher, others)
    with engine() as session:
        drain(session)
    assert _queued(pool) == 0
    late = _deploy(begins - timedelta(minutes=4), "r2")
    publish(publisher, [late])
    with engine() as session:
        drain(session)
    assert _queued(pool) == 1
    with pool.connection() as connection:
        connection.execute("UPDATE ai_jobs SET status = 'succeeded'")
    publish(publisher, [late])
    with engine() as session:
        drain(session)
    assert _queued(pool) == 0
    with pool.connection() as connection:
        connection.execute("UPDATE incidents SET status = 'resolved', resolved_at = now()")
    publish(publisher, [_deploy(begins - timedelta(minutes=3), "r3")])
    with engine() as session:
        drain(session)
    assert _queued(pool) == 0


def test_deploy_is_kept_with_its_offset_or_not_at_all(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    publish(publisher, [_deploy(NOON, "r1")])
    with pool.connection() as connection:
        connection.execute("ALTER TABLE pipeline.ledger RENAME TO away")
    with pytest.raises(Exception, match="ledger"), engine() as session:
        drain(session)
    assert rows(pool, "SELECT count(*) FROM pipeline.deploys") == [(0,)]
    with pool.connection() as connection:
        connection.execute("ALTER TABLE pipeline.away RENAME TO ledger")
    with engine() as session:
        drain(session)
    assert rows(pool, "SELECT count(*) FROM pipeline.deploys") == [(1,)]


def test_list_filters_and_turns_pages(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    at = [NOON + timedelta(minutes=number) for number in range(5)]
    known = [_deploy(when, f"r{number}", service="ab"[number % 2]) for number, when in enumerate(at)]
    publish(publisher, [*known, event("deploy", NOON, tenancy=OTHER, release="theirs")])
    with engine() as session:
        drain(session)
    view = _deploys(pool)
    seen: list[str | None] = []
    cursor = None
    while True:
        page = view.page(TENANCY, DeployRequest(limit=2, cursor=cursor))
        seen += [deploy.release for deploy in page.deploys]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == ["r4", "r3", "r2", "r1", "r0"]
    of_a = view.page(TENANCY, DeployRequest(service="a", since=at[1].isoformat(), until=at[4].isoformat()))
    assert [deploy.release for deploy in of_a.deploys] == ["r2"]
    assert view.page(TENANCY, DeployRequest(environment="dev")).deploys == []


def test_detail_compares_before_with_after(
    engine: Open, pool: ConnectionPool[Connection], publisher: Publisher, outage: list[Envelope]
) -> None:
    publish(publisher, outage)
    with engine() as session:
        drain(session)
    [listed] = _deploys(pool).page(TENANCY, DeployRequest()).deploys
    found = _deploys(pool).detail(TENANCY, listed.id)
    assert found is not None
    assert (found.minutes_before, found.minutes_after) == (30, 30)
    assert (found.errors.before, found.errors.after) == (10, 200)
    [changed] = found.failures
    assert (changed.fingerprint, changed.is_new) == ("TIMEOUT|/checkout|prod", False)
    [incident] = found.incidents
    assert incident.fingerprint == "TIMEOUT|/checkout|prod"
    young = _deploys(pool, NOON + timedelta(minutes=65, seconds=10)).detail(TENANCY, listed.id)
    assert young is not None
    assert (young.minutes_after, young.errors.after) == (6, 120)
    assert _deploys(pool).detail(OTHER, listed.id) is None


@pytest.mark.parametrize("late", [False, True], ids=["marker first", "marker last"])
def test_incident_says_after_which_release_it_began(
    engine: Open, publisher: Publisher, reader: TestClient, keys: Keys, outage: list[Envelope], late: bool
) -> None:
    marker = next(one for one in outage if one.event_type == "deploy")
    rest = [one for one in outage if one is not marker]
    batches = [rest, [marker]] if late else [[marker], rest]
    with engine() as session:
        for batch in batches:
            publish(publisher, batch)
            drain(session)
    [incident] = reader.get("/v1/incidents").json()["incidents"]
    detail = reader.get(f"/v1/incidents/{incident['id']}").json()
    assert datetime.fromisoformat(detail["began"]["first_bad_at"]) == NOON + timedelta(minutes=64)
    [deploy] = detail["began"]["deploys"]
    assert (deploy["release"], deploy["service"], deploy["minutes_before"]) == ("r2", "shop", 4)
    [mark] = detail["chart"]["deploys"]
    assert (mark["release"], datetime.fromisoformat(mark["at"])) == ("r2", NOON + timedelta(minutes=60))


def test_http_answers_a_page_and_names_bad_parameters(
    reader: TestClient, pool: ConnectionPool[Connection]
) -> None:
    assert reader.get("/v1/deploys").json() == {"deploys": [], "next_cursor": None}
    assert reader.get("/v1/deploys?limit=0").status_code == 400
    assert (
        reader.get("/v1/deploys?cursor=x").json()["code"]
        == reader.get("/v1/incidents?cursor=x").json()["code"]
    )
    assert reader.get("/v1/deploys/none").status_code == 404
