"""Real clients of other products report one outage through every door; the product opens one incident."""

import json
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from signals.clients.postgres import open_pool
from signals.domain.access.scopes import Scope
from signals.services.access.provisioning import issue_key
from signals.services.ledger.audit import LedgerAudit
from tests.support.product import Product
from tests.support.waiting import until
from tests.system.clients.conftest import Clients, finish

EACH = 12  # reports of each client: four of them exceed the rule's 30, none alone
PEOPLE = 7
FINGERPRINT = "PaymentDeclined|/checkout/{id}|prod"
DECLINED = "error_code:PaymentDeclined"
SHORT_STOP_S = 5.0  # the door waits twice as long for Kafka, and Kafka takes a while to go on
LONG_STOP_S = 25.0  # the door waits ten seconds for Kafka, and sentry-sdk never sends twice
FINISHED_WITHIN_S = 900  # the stop, the queue behind it, a machine ten times slower
REPORTED_WITHIN_S = 90  # what stands in the ledger is written by the minute
A_SECOND = 5.0
STARTED_WITHIN_S = 90  # the first event of a program, and its first search


def _dsn(product: Product) -> str:
    host = product.environment["INGEST_API_URL"].removeprefix("http://")
    return f"http://{product.environment['PROJECT_API_KEY']}@{host}/v1/events/sentry/1"


def _found(product: Product, filters: str) -> int:
    return int(product.get(f"/v1/search/events?limit=1&filters={filters}")["total"]["value"])


def _not_events(product: Product) -> dict[tuple[str, str, str], int]:
    now = datetime.now(UTC)
    with open_pool(product.servers.postgres, size=1) as pool:
        rows = LedgerAudit(pool).not_events(None, now - timedelta(hours=1), now + timedelta(minutes=1))
    counts: dict[tuple[str, str, str], int] = {}
    for row in rows:
        key = row.kind, row.door, row.reason
        counts[key] = counts.get(key, 0) + row.items
    return counts


def _losses(counts: dict[tuple[str, str, str], int]) -> list[tuple[str, str, str]]:
    """Return what was refused or lost; sentry-sdk itself leaves out the second report of one exception."""
    own_choice = ("lost_before", "sentry", "event_processor/error")
    return [what for what in counts if what[0] in ("refused", "lost_before") and what != own_choice]


def test_one_outage_through_every_client_is_one_incident(product: Product, clients: Clients) -> None:
    base, key = product.environment["INGEST_API_URL"], product.environment["PROJECT_API_KEY"]
    otel = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{base}/v1/events/otlp",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{key}",
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": "service.version=shop@2.4.1,deployment.environment.name=production",
    }
    logs = f"{base}/v1/events/otlp/v1/logs"
    running = [
        clients.start("sentry_shop.py", _dsn(product), str(EACH), "0"),
        clients.start("otel_shop.py", str(EACH), **otel),
        clients.start("segment_shop.py", f"{base}/v1/events/segment", key, str(PEOPLE)),
        clients.start("shop.mjs", _dsn(product), logs, base, key, str(EACH)),
    ]
    for program in running:
        finish(program)
    until(lambda: _found(product, DECLINED) == 4 * EACH)
    assert _found(product, "error_code:PaymentDeclined,release:shop@2.4.1") == 4 * EACH
    assert _found(product, "error_code:PaymentDeclined,route:%2Fcheckout%2F{id}") == 4 * EACH
    until(lambda: _found(product, "event_type:signup") == PEOPLE + EACH)
    incidents = until(lambda: product.get("/v1/incidents?limit=100")["incidents"])
    assert [row["fingerprint"] for row in incidents] == [FINGERPRINT]
    ignored = {
        ("ignored", "otlp", "below severity"): EACH,
        ("ignored", "segment", "identify"): PEOPLE,
        ("ignored", "segment", "page"): PEOPLE,
    }
    until(lambda: ignored.items() <= _not_events(product).items(), within_s=REPORTED_WITHIN_S)
    assert not _losses(_not_events(product))


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Errors that sentry-sdk was given, and by reason: those that it counts as lost, and those that its
    client reports named, in requests that it sent and in requests that the door answered."""

    reported: int
    lost: Counter[str]
    sent: Counter[str]
    answered: Counter[str]


def _report_while_kafka_stands_still(product: Product, clients: Clients, seconds: float) -> _Outcome:
    """Let a real SDK report some errors a second; Kafka answers nothing for some of that time."""
    kafka = product.stack.servers["kafka"].process.pid
    assert kafka is not None
    already = _found(product, DECLINED)
    orders = int(A_SECOND * (seconds + 4))
    with clients.start("sentry_shop.py", _dsn(product), str(orders), str(1 / A_SECOND)) as program:
        try:
            until(lambda: _found(product, DECLINED) > already, within_s=STARTED_WITHIN_S)
            stopped_at = time.monotonic()
            os.kill(kafka, signal.SIGSTOP)
            try:
                until(lambda: time.monotonic() - stopped_at >= seconds, within_s=2 * seconds)
            finally:
                os.kill(kafka, signal.SIGCONT)
            outcome = json.loads(finish(program, FINISHED_WITHIN_S))
        finally:
            program.kill()
    counts = {name: Counter(outcome[name]) for name in ("lost", "sent", "answered")}
    assert outcome["reported"] == orders
    return _Outcome(orders, **counts)


def test_stopped_kafka_loses_nothing_of_a_real_sdk(product: Product, clients: Clients) -> None:
    already = _found(product, DECLINED)
    outcome = _report_while_kafka_stands_still(product, clients, SHORT_STOP_S)
    until(lambda: _found(product, DECLINED) == already + outcome.reported, within_s=STARTED_WITHIN_S)
    assert not _losses(_not_events(product))


@pytest.mark.timeout(1800)
def test_long_stop_of_kafka_shows_the_losses_that_client_reports_name(
    product: Product, clients: Clients
) -> None:
    shop = _with_a_new_project(product, "proj_long_stop")
    outcome = _report_while_kafka_stands_still(shop, clients, LONG_STOP_S)
    assert outcome.answered.total() > 0
    # The two differ only when a request got no answer of the door: it may have read the report or not.
    assert outcome.answered <= outcome.sent <= outcome.lost
    until(lambda: outcome.answered <= _shown(shop, "lost_before"), within_s=REPORTED_WITHIN_S)
    assert _shown(shop, "lost_before") <= outcome.sent
    # Our own count stands beside it: sentry-sdk calls each 503 a network error.
    refused = _shown(shop, "refused")
    assert 0 < refused["answered 503 unavailable"] <= outcome.lost["network_error"]
    # Its own filter leaves out the second report of one exception, before it counts what is reported.
    kept = outcome.reported - outcome.lost.total() + outcome.lost["event_processor"]
    until(lambda: kept <= _found(shop, DECLINED) <= outcome.reported, within_s=STARTED_WITHIN_S)


def _with_a_new_project(product: Product, project_id: str) -> Product:
    """Return the product as a new project sees it: what other tests lose is not in its ledger."""
    ingest = product.new_project(project_id).api_key
    with open_pool(product.servers.postgres, size=1) as pool:
        read = issue_key(pool, project_id, Scope.READ).text
    keys = {"PROJECT_API_KEY": ingest, "READ_API_KEY": read}
    return replace(product, environment={**product.environment, **keys})


def _shown(product: Product, kind: str) -> Counter[str]:
    """Return what the ledger shows of Sentry's clients in this project, by reason without the category."""
    counts: Counter[str] = Counter()
    for row in product.get("/v1/ledger")["not_events"]:
        if (row["kind"], row["door"]) == (kind, "sentry"):
            counts[row["reason"].removesuffix("/error")] += row["items"]
    return counts
