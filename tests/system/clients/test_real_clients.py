"""Real clients of other products report one outage through every door; the product opens one incident."""

import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from signals.clients.postgres import open_pool
from signals.services.ledger.audit import LedgerAudit
from tests.support.product import Product
from tests.support.waiting import until
from tests.system.clients.conftest import Clients, finish

EACH = 12  # reports of each client: four of them exceed the rule's 30, none alone
PEOPLE = 7
FINGERPRINT = "PaymentDeclined|/checkout/{id}|prod"
DECLINED = "error_code:PaymentDeclined"
SHORT_STOP_S = 8.0
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
    counts = until(lambda: _not_events(product))
    assert counts["ignored", "otlp", "below severity"] == EACH
    assert counts["ignored", "segment", "identify"] == counts["ignored", "segment", "page"] == PEOPLE
    assert not _losses(counts)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Errors that sentry-sdk was given, and its own count of those that it lost, by reason."""

    reported: int
    lost: Mapping[str, int]


def _report_while_kafka_stands_still(product: Product, clients: Clients, seconds: float) -> _Outcome:
    """Let a real SDK report some errors a second; Kafka answers nothing for some of that time."""
    kafka = product.stack.servers["kafka"].process.pid
    assert kafka is not None
    already = _found(product, DECLINED)
    orders = int(A_SECOND * (seconds + 4))
    program = clients.start("sentry_shop.py", _dsn(product), str(orders), str(1 / A_SECOND))
    until(lambda: _found(product, DECLINED) > already, within_s=STARTED_WITHIN_S)
    stopped_at = time.monotonic()
    os.kill(kafka, signal.SIGSTOP)
    try:
        until(lambda: time.monotonic() - stopped_at >= seconds)
    finally:
        os.kill(kafka, signal.SIGCONT)
    outcome = json.loads(finish(program))
    assert outcome["reported"] == orders
    return _Outcome(orders, outcome["lost"])


def test_stopped_kafka_loses_nothing_of_a_real_sdk(product: Product, clients: Clients) -> None:
    already = _found(product, DECLINED)
    outcome = _report_while_kafka_stands_still(product, clients, SHORT_STOP_S)
    until(lambda: _found(product, DECLINED) == already + outcome.reported)
    assert not _losses(_not_events(product))
