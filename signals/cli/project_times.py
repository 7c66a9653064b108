"""`signals projects time-zone|days|add-day|remove-day`: the clock and the calendar that a normal follows."""

from datetime import datetime
from typing import Annotated

import typer

from signals.cli.database import opened_database, print_rows
from signals.cli.options import AsJson
from signals.clients.postgres import Connection, transaction
from signals.domain.detection.calendar import CalendarDay, DayKind
from signals.services.access import project_calendar
from signals.services.access.provisioning import no_such_project
from signals.store.access import tenancy
from signals.store.detection import project_calendars

Day = Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="In the project's time zone.")]
Kind = Annotated[
    DayKind,
    typer.Argument(help="day_off has fewer events than usual, launch more.", metavar="day_off|launch"),
]


def add_commands(projects: typer.Typer) -> None:
    """Add the commands to those of projects."""
    projects.command("time-zone")(time_zone)
    projects.command("days")(list_days)
    projects.command("add-day")(add_day)
    projects.command("remove-day")(remove_day)


def time_zone(
    project_id: str,
    zone: Annotated[str | None, typer.Argument(help="Like Europe/Berlin; left out: print it.")] = None,
) -> None:
    """Print or set a project's time zone: the usual counts of an hour follow its clock."""
    with opened_database() as pool:
        if zone is not None:
            project_calendar.set_time_zone(pool, project_id, zone)
        with transaction(pool) as connection:
            _check_exists(connection, project_id)
            print(project_calendars.zone_of(connection, [project_id])[project_id].key)


def list_days(project_id: str, as_json: AsJson = False) -> None:
    """List a project's days off and launches."""
    with opened_database() as pool, transaction(pool) as connection:
        _check_exists(connection, project_id)
        days = project_calendars.calendar_of(connection, [project_id])[project_id]
    print_rows(days, as_json=as_json)


def add_day(
    project_id: str, day: Day, kind: Kind, name: Annotated[str, typer.Option(help="For people.")]
) -> None:
    """Enter a day off or a launch: the seasonal rules follow its own level, and learn nothing from it."""
    with opened_database() as pool:
        project_calendar.set_calendar_day(pool, project_id, CalendarDay(day=day.date(), kind=kind, name=name))
    print(f"{day.date()} is {kind.replace('_', ' ')} of {project_id}: {name}.")


def remove_day(project_id: str, day: Day) -> None:
    """Remove a day from a project's calendar."""
    with opened_database() as pool, transaction(pool) as connection:
        removed = project_calendars.remove_day(connection, project_id, day.date())
    if not removed:
        typer.echo(f"signals: {project_id} has no {day.date()} in its calendar", err=True)
        raise typer.Exit(1)
    print(f"Removed {day.date()}.")


def _check_exists(connection: Connection, project_id: str) -> None:
    if all(project.id != project_id for project in tenancy.list_projects(connection)):
        raise no_such_project(project_id)
