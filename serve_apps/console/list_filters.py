"""Filters of the lists of outages and incidents: read from the address, and written into it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast, get_args

from serve_apps.console.pages import Visit, query_of
from serve_apps.console.resources import ConsoleResources
from shared_types import Environment
from signals.domain.incidents.episode import IncidentStatus, VerdictWanted
from signals.domain.notifications.routing import SeverityWord
from signals.domain.queries.sorting import ListSort

TABS: Final = ("open", "investigating", "resolved", "all")
ANY_VERDICT: Final = "any"
VERDICTS: Final[Mapping[str, str]] = {
    "confirmed_or_learning": "confirmed or learning",
    "confirmed": "confirmed",
    "learning": "learning",
    "unconfirmed": "unconfirmed",
    ANY_VERDICT: "any",
}
SORTS: Final[Mapping[ListSort, str]] = {
    "opened": "newest opening",
    "last_seen": "last seen",
    "severity": "most severe",
}
SEVERITIES: Final = tuple(reversed(get_args(SeverityWord)))
NAMES: Final = ("status", "env", "severity", "verdict", "assignee", "mine", "text", "sort", "cursor")
"""The parameters, as the API calls them where it has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenFilters:
    """The filters of an address; `given` are its parameters, with their texts.

    `assignees` are the texts that may name the person who works on it.
    """

    tab: str
    environment: str
    severity: str
    verdict: str
    assignees: tuple[str, ...]
    is_mine: bool
    text: str
    sort: ListSort
    cursor: str
    given: Mapping[str, str]

    @property
    def status(self) -> IncidentStatus | None:
        """The status, None for all."""
        return cast(IncidentStatus, self.tab) if self.tab != "all" else None

    @property
    def wanted_verdict(self) -> VerdictWanted | None:
        """The verdict, None for any."""
        return cast(VerdictWanted, self.verdict) if self.verdict != ANY_VERDICT else None

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but the status narrows the list."""
        return any(value for name, value in self.given.items() if name not in ("status", "sort", "cursor"))

    def address(self, **changed: str) -> str:
        """Return the query of the list's first page with some parameters changed."""
        return query_of(**(dict(self.given) | {"cursor": ""} | changed))


def chosen_filters(visit: Visit, *, default_verdict: str) -> ChosenFilters:
    """Read the filters of a list.

    Raises:
        Problem: 400 for a word that a filter does not have.
    """
    is_mine = visit.query("mine") == "1"
    return ChosenFilters(
        tab=visit.chosen("status", TABS, "open"),
        environment=visit.chosen("env", list(Environment), ""),
        severity=visit.chosen("severity", SEVERITIES, ""),
        verdict=visit.chosen("verdict", tuple(VERDICTS), default_verdict),
        assignees=(visit.who.name, visit.who.email)
        if is_mine
        else tuple(filter(None, [visit.query("assignee")])),
        is_mine=is_mine,
        text=visit.query("text"),
        sort=cast(ListSort, visit.chosen("sort", tuple(SORTS), "opened")),
        cursor=visit.query("cursor"),
        given={name: visit.query(name) for name in NAMES},
    )


def filter_values(resources: ConsoleResources, visit: Visit, filters: ChosenFilters) -> Mapping[str, Any]:
    """Return what the form of the filters shows."""
    return {
        "filters": filters,
        "here_query": query_of(**filters.given),
        "tabs": TABS,
        "environments": list(Environment),
        "severities": SEVERITIES,
        "verdicts": VERDICTS,
        "sorts": SORTS,
        "people": {one.written: one.shown for one in resources.overview.team(visit.where.tenancy).values()},
    }
