"""The product's password at PostgreSQL is rotated under traffic: no process is replaced, no event lost."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from tests.support.mounting import mount
from tests.support.product import Product, open_product
from tests.support.waiting import until
from tests.system.e2e.test_scaling import replicas

ROLE: Final = "rotating"
FIRST, SECOND = "first-s3cret", "second-s3cret"
WITHIN_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """The product, and where its secrets are mounted."""

    product: Product
    secrets: Path

    def set_password(self, password: str) -> None:
        """At the server only."""
        with self.product.database() as connection:
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(ROLE), password))

    def old_connections(self, since: datetime) -> int:
        """How many connections of the product were made before."""
        ((count,),) = self.product.rows(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND backend_start < %s", ROLE, since
        )
        return int(count)


def address(servers: Mapping[str, str], password: str) -> str:
    """The database as a role of the test's own reaches it."""
    given = urlsplit(servers["DATABASE_URL"])
    return given._replace(netloc=f"{ROLE}:{password}@{given.hostname}:{given.port}").geturl()


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rotated]:
    """A product that knows its database from a mounted file alone."""
    root = tmp_path_factory.mktemp("rotated")
    secrets = root / "secrets"

    def settings(servers: Mapping[str, str]) -> Mapping[str, str]:
        with psycopg.connect(servers["DATABASE_URL"], autocommit=True) as connection:
            create = sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}")
            connection.execute(create.format(sql.Identifier(ROLE), FIRST))
        mount(secrets, {"DATABASE_URL": address(servers, FIRST)})
        return {"DATABASE_URL": "", "SIGNALS_SECRETS_DIR": str(secrets), "SIGNALS_KEY_CACHE_S": "0.5"}

    with open_product(root, settings=settings) as product:
        yield Rotated(product=product, secrets=secrets)


def consumers(product: Product) -> list[tuple[Any, ...]]:
    """The process of every consumer, and when it began."""
    return product.rows("SELECT name, pid, started_at FROM pipeline.workers ORDER BY name")


def test_password_is_rotated_while_events_come(rotated: Rotated) -> None:
    product = rotated.product
    before = replicas(product), consumers(product)
    with ThreadPoolExecutor(1) as threads:
        sending = threads.submit(product.loadgen, "normal", "--rate=100", "--duration=30s")
        rotated.set_password(SECOND)
        began = datetime.now(UTC)
        mount(rotated.secrets, {"DATABASE_URL": address(product.stack.environment, SECOND)})
        until(lambda: rotated.old_connections(began) == 0, within_s=WITHIN_S)
        report = sending.result()
    assert (report["lost"], report["rejected"], report["accepted"]) == (0, 0, report["sent"])
    until(lambda: set(product.readiness().values()) == {"ok", "running"}, within_s=WITHIN_S)
    assert (replicas(product), consumers(product)) == before
    lines = until(lambda: _settled(product, report["accepted"]), within_s=WITHIN_S)
    assert [line["missing"] for line in lines.values()] == [0, 0], json.dumps(lines)
    # A request that a late Kafka left without an answer was sent again: the indexer knows its events.
    assert lines["indexer"]["outcomes"]["indexed"] == report["accepted"], json.dumps(lines)


def _settled(product: Product, accepted: int) -> dict[str, dict[str, Any]]:
    """The lines of engine and indexer in the ledger, empty until both have everything that Kafka has."""
    totals = product.get("/v1/ledger")["totals"]
    lines = {one["stage"]: one for one in totals if one["stage"] in ("incident-engine", "indexer")}
    handled = [sum(line.get("outcomes", {}).values()) for line in lines.values()]
    expected = [line["expected"] for line in lines.values()]
    return lines if len(lines) == 2 and expected == handled and min(expected) >= accepted else {}
