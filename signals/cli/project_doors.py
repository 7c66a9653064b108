"""`signals projects doors`: a project's signup names, and what it keeps of its clients' payloads."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from signals.cli.database import actor, opened_database
from signals.cli.options import AsJson
from signals.domain.events.door_settings import KeptField
from signals.services.events.project_doors import DoorsChange, DoorSettingsEditor, ProjectDoors


def add_commands(projects: typer.Typer) -> None:
    """Add the command to those of projects."""
    projects.command("doors")(project_doors)


def project_doors(
    project_id: str,
    signup: Annotated[
        list[str] | None,
        typer.Option(
            help="Event that is a signup; may be repeated. Replaces the list; `identify` is a call."
        ),
    ] = None,
    default_signups: Annotated[
        bool, typer.Option("--default-signups", help="Return to the built-in list.")
    ] = False,
    keep: Annotated[
        list[KeptField] | None,
        typer.Option(help="Part of payloads to keep; may be repeated. Replaces the list."),
    ] = None,
    keep_nothing: Annotated[
        bool, typer.Option("--keep-nothing", help="Keep nothing beside the allow-list.")
    ] = False,
    vercel_secret: Annotated[
        bool,
        typer.Option("--vercel-secret", help="Ask for the secret of Vercel's webhook; empty: forget it."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show or change which events are signups, and which parts of payloads are kept.

    ingest-api follows within SIGNALS_KEY_CACHE_S (60 s). Events that are stored already stay as they are.
    """
    if (signup and default_signups) or (keep and keep_nothing):
        raise typer.BadParameter("choose one: give a list, or take it back")
    change = DoorsChange(
        signup_names=signup or None,
        default_names=default_signups,
        kept_fields=[] if keep_nothing else keep or None,
        vercel_secret=_ask_for_secret() if vercel_secret else None,
    )
    with opened_database() as pool:
        editor = DoorSettingsEditor(pool)
        is_change = change != DoorsChange()
        settings = editor.change(project_id, change, actor=actor()) if is_change else editor.read(project_id)
    if as_json:
        print(json.dumps(asdict(settings), indent=2))
    else:
        _show(settings)


def _ask_for_secret() -> str:
    """Ask without echo, or read a line that another command pipes in: an option would show in `ps`."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return str(typer.prompt("Secret", hide_input=True, default="", show_default=False))


def _show(settings: ProjectDoors) -> None:
    source = "" if settings.has_own_names else " (built in)"
    print(f"Signups{source}: {', '.join(settings.signup_names) or 'none'}")
    print(f"Secret of Vercel's webhook: {'set' if settings.has_vercel_secret else 'none'}")
    for field, meaning in settings.possible_fields.items():
        print(f"{'kept    ' if field in settings.kept_fields else 'not kept'}  {field}: {meaning}")
