"""Time zones and calendars of projects."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import LiteralString
from zoneinfo import ZoneInfo

from signals.clients.postgres import Connection
from signals.domain.detection.calendar import CalendarDay, DayKind, ProjectClock, zone_named

ZONES: LiteralString = """
SELECT project_id, time_zone FROM pipeline.project_clocks WHERE project_id = ANY(%(project_ids)s)
"""


def zone_of(connection: Connection, project_ids: Collection[str]) -> Mapping[str, ZoneInfo]:
    """Return the time zone of each project, UTC where none was set."""
    rows = connection.execute(ZONES, {"project_ids": list(project_ids)})
    named = {project_id: zone_named(name) for project_id, name in rows}
    return {one: named.get(one) or zone_named("UTC") for one in project_ids}


SET_ZONE: LiteralString = """
INSERT INTO pipeline.project_clocks (project_id, time_zone)
SELECT id, %(time_zone)s FROM projects WHERE id = %(project_id)s
ON CONFLICT (project_id) DO UPDATE SET time_zone = excluded.time_zone
"""


def set_zone(connection: Connection, project_id: str, zone: ZoneInfo) -> bool:
    """Set a project's time zone; False when there is no such project."""
    parameters = {"project_id": project_id, "time_zone": zone.key}
    return connection.execute(SET_ZONE, parameters).rowcount == 1


DAYS: LiteralString = """
SELECT project_id, day, kind, name FROM pipeline.project_days
WHERE project_id = ANY(%(project_ids)s)
ORDER BY project_id, day, kind
"""


def calendar_of(
    connection: Connection, project_ids: Collection[str]
) -> Mapping[str, tuple[CalendarDay, ...]]:
    """Return the days off and launch days of each project, in order."""
    found: dict[str, list[CalendarDay]] = {one: [] for one in project_ids}
    for project_id, day, kind, name in connection.execute(DAYS, {"project_ids": list(project_ids)}):
        found[project_id].append(CalendarDay(day=day, kind=kind, name=name))
    return {project_id: tuple(days) for project_id, days in found.items()}


def clocks_of(connection: Connection, project_ids: Collection[str]) -> Mapping[str, ProjectClock]:
    """Return the clock of each project, which knows its days off and launches."""
    zones, days = zone_of(connection, project_ids), calendar_of(connection, project_ids)
    return {one: ProjectClock.of(zones[one], days[one]) for one in project_ids}


SET_DAY: LiteralString = """
INSERT INTO pipeline.project_days (project_id, day, kind, name)
SELECT id, %(day)s, %(kind)s, %(name)s FROM projects WHERE id = %(project_id)s
ON CONFLICT (project_id, day, kind) DO UPDATE SET name = excluded.name
"""


def set_day(connection: Connection, project_id: str, day: CalendarDay) -> bool:
    """Add a day to a project's calendar, or rename it; False when there is no such project."""
    parameters = {"project_id": project_id, "day": day.day, "kind": day.kind, "name": day.name}
    return connection.execute(SET_DAY, parameters).rowcount == 1


REMOVE_DAY: LiteralString = """
DELETE FROM pipeline.project_days
WHERE project_id = %(project_id)s AND day = %(day)s AND (%(kind)s::text IS NULL OR kind = %(kind)s)
"""


def remove_day(connection: Connection, project_id: str, day: date, kind: DayKind | None = None) -> int:
    """Remove a day from a project's calendar; return how many entries went."""
    parameters = {"project_id": project_id, "day": day, "kind": kind}
    return connection.execute(REMOVE_DAY, parameters).rowcount
