"""Answers a form that changed nothing: it leads back to its page, which shows the reason once."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from starlette.responses import Response

from serve_apps.console.history import (
    STATUS,
    TimelineChange,
    changes_by_people,
    is_newest_by_hand,
    what_changed,
)
from serve_apps.console.pages import Visit
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.shown_once import show_once
from serve_apps.http.problems import Problem
from signals.domain.access.team import names_of

ANOTHER_OPEN: Final = "A newer incident of the same kind is not resolved; work on that one."
REFUSAL: Final = "refusal"
"""The name of the reason among the values that a page shows once."""


def refused(visit: Visit, page: str, text: str) -> Response:
    """Lead to a page that says why nothing was done; reading it again presses nothing again.

    Its query is left out: the cookie with the reason goes to a path.
    """
    return show_once(visit, page.partition("?")[0].partition("#")[0], {REFUSAL: text})


def refused_status(
    resources: ConsoleResources,
    visit: Visit,
    page: str,
    outcome: str,
    timeline: Callable[[], Sequence[TimelineChange] | None],
) -> Response:
    """Lead to a page whose status was not set.

    Raises:
        Problem: 422 when there is no such status.
    """
    if outcome == "stale":
        return refused_as_stale(resources, visit, page, timeline() or [], STATUS)
    if outcome == "another_open":
        return refused(visit, page, ANOTHER_OPEN)
    raise Problem(422, outcome, "The status is one of open, investigating, resolved.")


def refused_as_stale(
    resources: ConsoleResources,
    visit: Visit,
    page: str,
    changes: Sequence[TimelineChange],
    about: Collection[str],
) -> Response:
    """Lead to the page of an incident or outage, which names the faster person, if there was one."""
    names = names_of(resources.overview.team(visit.where.tenancy))
    by_people = changes_by_people(changes, names, visit.clock) if is_newest_by_hand(changes, about) else []
    # By the page and not by the form's route: an outage of one incident is shown as that incident.
    subject = "incident" if "/incidents/" in page else "outage"
    return refused(visit, page, what_changed(by_people, visit.clock, subject, about))
