"""The fold of an incident's changes equals its row, by any writer."""

import threading
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from shared_types import Tenancy
from signals.services.incidents.views import Incidents
from signals.services.operations.housekeeping import resolve_stale_incidents
from signals.store.incidents import incident_changes
from tests.integration.notifications.conftest import World
from tests.support.events import TENANCY


def fold(world: World, incident_id: UUID) -> Mapping[str, Any]:
    with world.pool.connection() as connection:
        changes = incident_changes.timeline(connection, incident_id, limit=1000)
    assert [change.number for change in changes] == list(range(1, len(changes) + 1))
    state: dict[str, Any] = {}
    for change in changes:
        state |= change.detail
    return {name: state[name] for name in ("status", "severity", "title")}


def row(world: World, incident_id: UUID) -> Mapping[str, Any]:
    [(status, severity, title)] = world.rows(
        "SELECT status, severity, title FROM incidents WHERE id = %s", incident_id
    )
    return {"status": status, "severity": severity, "title": title}


def test_fold_of_the_changes_equals_the_incident(world: World) -> None:
    incident_id = world.open()
    world.set(incident_id, severity="critical")
    Incidents(world.pool).set_status(TENANCY, incident_id, "investigating", actor="key:1")
    world.summarize(incident_id)
    world.set(incident_id, title="Another title")
    world.set(incident_id, last_seen_at="2020-01-01T00:00:00Z")
    assert fold(world, incident_id) == row(world, incident_id)
    resolve_stale_incidents(world.pool)
    assert fold(world, incident_id) == row(world, incident_id)
    changes = world.rows("SELECT kind, actor FROM pipeline.incident_changes ORDER BY number")
    assert changes == [
        ("opened", "engine"),
        ("severity", "engine"),
        ("status", "key:1"),
        ("summarized", "engine"),
        ("title", "engine"),
        ("status", "housekeeping"),
    ]


def test_concurrent_writers_number_their_changes_without_gaps(world: World) -> None:
    incident_id = world.open()

    def change(severity: str) -> None:
        for _ in range(5):
            world.set(incident_id, severity=severity)
            world.set(incident_id, severity="warn")
            world.summarize(incident_id)

    threads = [threading.Thread(target=change, args=(one,)) for one in ("error", "critical")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fold(world, incident_id) == row(world, incident_id)


def test_timeline_of_another_project_is_none(world: World) -> None:
    incident_id = world.open()
    incidents = Incidents(world.pool)
    assert [one.kind for one in incidents.timeline(TENANCY, incident_id) or ()] == ["opened"]
    assert incidents.timeline(Tenancy(TENANCY.org_id, "proj_2"), incident_id) is None
    assert incidents.timeline(TENANCY, uuid4()) is None
