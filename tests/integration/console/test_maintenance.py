"""Admins begin, plan and end maintenance windows on the page of notifications."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from tests.integration.console.conftest import BASE, Visitor
from tests.support.console_world import World

PAGE = f"{BASE}/notifications"
WINDOWS = "SELECT starts_at, ends_at, environment, created_by FROM pipeline.maintenance"


def test_window_begins_is_shown_and_ends(
    visitor: Visitor, pool: ConnectionPool[Connection], world: World
) -> None:
    admin = visitor(Role.ADMIN)
    given = {"reason": "Upgrade 4711", "lasts": "2 hours", "environment": "prod"}
    assert admin.post(f"{PAGE}/start-maintenance", data=given).status_code == 303
    page = admin.get(PAGE).text
    assert "goes on" in page
    assert "Upgrade 4711" in page
    with pool.connection() as connection:
        [(starts_at, ends_at, environment, created_by)] = connection.execute(WINDOWS).fetchall()
    assert timedelta(minutes=119) < ends_at - starts_at < timedelta(minutes=121)
    assert environment == "prod"
    assert created_by.startswith("user:")
    window = re.search(r'name="window" value="([0-9a-f-]{36})"', page)
    assert window is not None
    named = {"window": window[1]}
    theirs = visitor(Role.ADMIN, org_id="org_2")
    assert theirs.post("/console/p/proj_2/notifications/end-maintenance", data=named).status_code == 404
    assert admin.post(f"{PAGE}/end-maintenance", data=named).status_code == 303
    assert "Upgrade 4711" not in admin.get(PAGE).text


def test_planned_window_begins_in_the_readers_time_zone(
    visitor: Visitor, pool: ConnectionPool[Connection], world: World
) -> None:
    admin = visitor(Role.ADMIN)
    admin.cookies.set("signals-zone", "Asia/Tokyo")
    begins = (datetime.now(UTC) + timedelta(days=3)).replace(hour=3, minute=0, second=0, microsecond=0)
    given = {"reason": "r", "lasts": "30 minutes", "begins": f"{begins + timedelta(hours=9):%Y-%m-%dT%H:%M}"}
    answer = admin.post(f"{PAGE}/start-maintenance", data=given)
    assert answer.status_code == 303, answer.text
    with pool.connection() as connection:
        [(starts_at, *_)] = connection.execute(WINDOWS).fetchall()
    assert starts_at == begins
    assert "planned" in admin.get(PAGE).text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"lasts": "2 hours"}, "Reason: fill it in."),
        ({"reason": "r", "lasts": "8 years"}, "Lasts: it is one of"),
        ({"reason": "r", "lasts": "1 hour", "begins": "soon"}, "Begins: write it like 2026-12-24T22:00."),
        ({"reason": "r", "lasts": "1 hour", "begins": "2020-01-01T00:00"}, "ends_at"),
        ({"reason": "r", "lasts": "1 hour", "environment": "moon"}, "Environment: choose one of the list."),
    ],
)
def test_odd_window_is_refused_beside_its_form(
    visitor: Visitor, world: World, fields: dict[str, str], said: str
) -> None:
    answer = visitor(Role.ADMIN).post(f"{PAGE}/start-maintenance", data=fields)
    assert answer.status_code == 422
    assert said in answer.text
    assert f'value="{fields.get("reason", "")}"' in answer.text
