"""Sets the clock and the calendar that a project's usual counts follow."""

from typing import Final

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.detection.calendar import CalendarDay, UnknownZone, zone_named
from signals.services.access.provisioning import ProvisioningRefused, no_such_project
from signals.store.detection import project_calendars

MAX_DAY_NAME: Final = 100  # characters (guess: a line of a calendar)


def set_time_zone(pool: ConnectionPool[Connection], project_id: str, name: str) -> None:
    """Set the time zone that a project's hours of the week and calendar follow.

    Raises:
        ProvisioningRefused: when there is no such project or time zone.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    try:
        zone = zone_named(name)
    except UnknownZone as error:
        raise ProvisioningRefused(str(error)) from error
    with transaction(pool) as connection:
        if not project_calendars.set_zone(connection, project_id, zone):
            raise no_such_project(project_id)


def set_calendar_day(pool: ConnectionPool[Connection], project_id: str, day: CalendarDay) -> None:
    """Enter a day off or a launch into a project's calendar, or rename it.

    Raises:
        ProvisioningRefused: when there is no such project, or the name is too long.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    if not 0 < len(day.name) <= MAX_DAY_NAME or "\x00" in day.name:
        raise ProvisioningRefused(f"a day's name has 1 to {MAX_DAY_NAME} characters")
    with transaction(pool) as connection:
        if not project_calendars.set_day(connection, project_id, day):
            raise no_such_project(project_id)
