"""A window that cannot be divided stops no other; it is tried again, and settles undivided in the end."""

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.services.incidents.outage_views import OutageListRequest, Outages
from signals.services.incidents.settling import TRIES
from tests.integration.incidents.shop import Shop
from tests.support.events import TENANCY

STATE = """
SELECT settle_failures, settle_error, settled_at IS NOT NULL FROM pipeline.outages WHERE settle_failures > 0
"""
POISON = "UPDATE pipeline.outage_members SET fingerprint = 'broken' WHERE fingerprint LIKE '%/b|%'"


def _retry(shop: Shop, pool: ConnectionPool[Connection]) -> None:
    with pool.connection() as connection:
        connection.execute("UPDATE pipeline.outages SET settle_after = now()")
    shop.round()


def test_window_that_cannot_be_divided_stops_no_other(pool: ConnectionPool[Connection]) -> None:
    poisoned, other = Shop(pool), Shop(pool, "proj_2")
    poisoned.opens("DB_DOWN|/a|prod", "DB_DOWN|/b|prod")
    with pool.connection() as connection:
        connection.execute(POISON)
    other.opens("DB_DOWN|/a|prod", "DB_DOWN|/b|prod")
    poisoned.pass_minutes(11)
    other.pass_minutes(11)
    with pool.connection() as connection:
        [(failures, error, is_settled)] = connection.execute(STATE).fetchall()
        [(settled,)] = connection.execute(
            "SELECT count(*) FROM pipeline.outages WHERE project_id = 'proj_2' AND settled_at IS NOT NULL"
        ).fetchall()
    assert (failures, is_settled, settled) == (1, False, 1)
    assert error.startswith("ValueError: ")
    poisoned.round()  # not due again
    for _ in range(TRIES - 1):
        _retry(poisoned, pool)
    with pool.connection() as connection:
        assert connection.execute(STATE).fetchall() == [(TRIES, error, True)]
    [outage] = Outages(pool).page(TENANCY, OutageListRequest()).outages
    detail = Outages(pool).detail(TENANCY, outage.id)
    assert detail is not None
    assert detail.why.explanation.endswith("within minutes. Their division by cause failed.")
    _retry(poisoned, pool)
    with pool.connection() as connection:
        assert connection.execute(STATE).fetchall() == [(TRIES, error, True)]
