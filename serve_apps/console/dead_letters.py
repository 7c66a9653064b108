"""The page of a project's dead letters: the newest with their reasons, requeued or dropped by admins."""

from typing import Any, Final, get_args

from starlette.responses import Response

from serve_apps.console.pages import ConsolePage, Visit
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.views import View
from serve_apps.http.problems import Problem
from signals.errors import DependencyUnavailable, SettingsError
from signals.services.operations.dead_letters import StoredLetter
from signals.services.operations.project_letters import LetterAct

SHOWN: Final = 50  # a form of so many choices is within MAX_FIELDS of pages.py
SHOWN_CHARS: Final = 2_000  # of a record's content; `signals dlq show` has all
PREFIX: Final = "letter:"
ACTS: Final[tuple[LetterAct, ...]] = get_args(LetterAct)


def show_dead_letters(resources: ConsoleResources, visit: Visit) -> View:
    """Show the newest undecided letters of the project."""
    return _view(resources, visit)


def _view(resources: ConsoleResources, visit: Visit, **shown: Any) -> View:
    found: list[StoredLetter] | None
    try:
        found = resources.letters.newest(visit.where.project_id, limit=SHOWN + 1)
    except (DependencyUnavailable, SettingsError):
        found = None
    rows = None if found is None else [(_id(one), one, _text(one)) for one in found[:SHOWN]]
    values = {"letters": rows, "is_more": len(found or ()) > SHOWN, "said": "", "is_done": False}
    return View("dead_letters.html", values | shown)


def _id(stored: StoredLetter) -> str:
    return f"{stored.place.partition}:{stored.place.letter_offset}"


def _text(stored: StoredLetter) -> str:
    return stored.record.value[:SHOWN_CHARS].decode("utf-8", "replace")


def decide_letters(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Requeue or drop the letters that were chosen, and say how many."""
    act = next((one for one in ACTS if one == visit.form.get("act")), None)
    if act is None:
        raise Problem(422, "unknown_act", f"The act is one of {', '.join(ACTS)}.")
    places = [_place(name.removeprefix(PREFIX)) for name in visit.form if name.startswith(PREFIX)]
    if not places:
        return _view(resources, visit, said="Choose letters first.")
    done = resources.letters.decide(visit.caller, places, act)
    left = len(places) - done
    verb = "Requeued" if act == "requeue" else "Dropped"
    said = f"{verb} {done} of {len(places)}." + (" The others were decided already." if left else "")
    return _view(resources, visit, said=said, is_done=not left)


def _place(text: str) -> tuple[int, int]:
    partition, _, offset = text.partition(":")
    if not (partition.isdecimal() and offset.isdecimal() and len(text) < 32):
        raise Problem(422, "invalid_letter", "A letter is named by partition and offset, like 0:17.")
    return int(partition), int(offset)


_PAGE: Final = "/console/p/{project_id}/dead-letters"
PAGES: Final = (
    ConsolePage(method="GET", path=_PAGE, right="read", handler=show_dead_letters, active="pipeline"),
    ConsolePage(method="POST", path=_PAGE, right="administer", handler=decide_letters, active="pipeline"),
)
