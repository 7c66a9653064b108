"""Rules, clock and calendar of a project: the one place where the engine asks for them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared_types import MetricName
from shared_types.fingerprints import METRICS
from signals.clients.postgres import Connection
from signals.domain.detection.calendar import ProjectClock
from signals.domain.detection.counted import COUNTED_METRICS
from signals.domain.detection.default_rules import ERROR_SPIKE, SIGNUP_DROP
from signals.domain.detection.rule_types import Rule
from signals.domain.incidents.watch import Watch, watches
from signals.store.detection import project_calendars, rule_signatures, rules

NO_RULES: Final = Watch()
MOST_PROJECTS: Final = 20_000  # kept compiled, at about 2 KB each (guess)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRules:
    """The rules that watch each counter of a project, sharing its incidents, and its clock and calendar."""

    watches: Mapping[MetricName, Watch]
    clock: ProjectClock


class RuleBook:
    """Keeps the rules of projects compiled, and reads again what was changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[str, str], ProjectRules]] = {}

    def of(self, connection: Connection, project_ids: Collection[str]) -> Mapping[str, ProjectRules]:
        """Return the rules of each project as they are now."""
        signatures = rule_signatures.read(connection, project_ids)
        changed = [
            one for one, signature in signatures.items() if self._known.get(one, (None,))[0] != signature
        ]
        if changed:
            if len(self._known) + len(changed) > MOST_PROJECTS:
                self._known.clear()
                changed = list(signatures)
            found = rules.rules_of(connection, changed)
            clocks = project_calendars.clocks_of(connection, changed)
            for one in changed:
                self._known[one] = signatures[one], _compiled(found[one], clocks[one])
        return {one: self._known[one][1] for one in signatures}


def judged_names(found: Sequence[Rule]) -> frozenset[str]:
    """Return the names of the rules by which the engine judges, of those of a project."""
    chosen = _watches(found).values()
    return frozenset(rule.name for watch in chosen for rule in (watch.fixed, watch.seasonal) if rule)


def _compiled(found: Sequence[Rule], clock: ProjectClock) -> ProjectRules:
    return ProjectRules(watches=_watches(found), clock=clock)


def _watches(found: Sequence[Rule]) -> Mapping[MetricName, Watch]:
    """Choose the one watch of each counter; a counter without rules has one, so that open incidents end.

    A rule over part of a counter's events, or over other series, has no counter of its own yet.
    """
    by_metric: dict[MetricName, Watch] = {}
    for watch in watches(found):
        for locked in (ERROR_SPIKE, SIGNUP_DROP):
            if (watch.rule.on, watch.rule.per) == (locked.on, locked.per):
                by_metric.setdefault(METRICS[locked.on.event_type], watch)
    return {name: by_metric.get(name, NO_RULES) for name in COUNTED_METRICS}
