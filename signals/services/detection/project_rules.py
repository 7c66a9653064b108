"""Rules, clock and calendar of a project: the one place where the engine asks for them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from shared_types.fingerprints import METRICS
from signals.clients.postgres import Connection
from signals.domain.detection.calendar import ProjectClock
from signals.domain.detection.counted import COUNTED_METRICS
from signals.domain.detection.default_rules import ERROR_SPIKE, SIGNUP_DROP
from signals.domain.detection.own_rules import OwnRule
from signals.domain.detection.rule_index import RuleIndex
from signals.domain.detection.rule_types import Drop, FloorRatio, Rule, Seasonal
from signals.domain.incidents.watch import Watch, watches
from signals.store.detection import project_calendars, rule_epochs, rule_signatures, rules
from signals.store.detection.rule_epochs import RuleEpoch

NO_RULES: Final = Watch()
MOST_PROJECTS: Final = 20_000  # kept compiled, at about 2 KB each (guess)


@dataclass(frozen=True, kw_only=True)  # no slots: the watches of own rules are made when asked for
class ProjectRules:
    """The rules that watch each counter of a project, sharing its incidents, and its clock and calendar.

    `own` are the rules whose series have incidents of their own.
    """

    watches: Mapping[str, Watch]
    clock: ProjectClock
    own: RuleIndex = field(default_factory=lambda: RuleIndex(()))

    @property
    def shared_names(self) -> frozenset[str]:
        """The names of the rules that share the incidents of the counters."""
        return _names(self.watches.values())

    def watch_of(self, metric_name: str) -> Watch | None:
        """Return what watches a counter, None for that of a rule that is off, gone, or counts otherwise."""
        return self._own_watches.get(metric_name) or self.watches.get(metric_name)

    @cached_property
    def _own_watches(self) -> Mapping[str, Watch]:
        return {
            name: Watch(seasonal=own.rule) if isinstance(own.rule, Seasonal) else Watch(fixed=own.rule)
            for name, own in self.own.by_metric.items()
        }


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
            epochs = rule_epochs.read(connection, changed)
            for one in changed:
                own = [own_rule(one, rule, epochs) for rule in own_rules(found[one])]
                self._known[one] = (
                    signatures[one],
                    ProjectRules(watches=_watches(found[one]), clock=clocks[one], own=RuleIndex(own)),
                )
        return {one: self._known[one][1] for one in signatures}


def own_rule(project_id: str, rule: Rule, epochs: Mapping[tuple[str, str], RuleEpoch]) -> OwnRule:
    """Return a project's own rule with the version and minute from which it has counted."""
    epoch = epochs.get((project_id, rule.name))
    return OwnRule(rule, epoch.version, epoch.begun) if epoch else OwnRule(rule, rule.version)


def judged_names(found: Sequence[Rule]) -> frozenset[str]:
    """Return the names of the rules by which the engine judges, of those of a project."""
    return _names(_watches(found).values()) | {rule.name for rule in own_rules(found)}


def _names(chosen: Iterable[Watch]) -> frozenset[str]:
    return frozenset(rule.name for watch in chosen for rule in (watch.fixed, watch.seasonal) if rule)


def own_rules(found: Sequence[Rule]) -> list[Rule]:
    """Return the rules in force whose series have incidents of their own: they share none with Rules A and B.

    A seasonal rule that only confirms others has nothing to confirm there.
    """
    chosen = {id(watch.rule) for watch in _watches(found).values() if watch is not NO_RULES}
    alone = (watch.rule for watch in watches(found) if id(watch.rule) not in chosen)
    return [rule for rule in alone if not (isinstance(rule, Seasonal) and rule.opens == "verdict")]


def _watches(found: Sequence[Rule]) -> Mapping[str, Watch]:
    """Choose the one watch of each counter; a counter without rules has one, so that open incidents end."""
    by_metric: dict[str, Watch] = {}
    for watch in watches(found):
        for locked in (ERROR_SPIKE, SIGNUP_DROP):
            if _stands_in(watch.rule, locked):
                by_metric.setdefault(METRICS[locked.on.event_type], watch)
    return {name: by_metric.get(name, NO_RULES) for name in COUNTED_METRICS}


def _stands_in(rule: Rule, locked: FloorRatio | Drop) -> bool:
    """Say whether a rule watches the locked rule's series for the same sort of change."""
    if (rule.on, rule.per) != (locked.on, locked.per):
        return False
    if isinstance(rule, Seasonal):
        return rule.direction == COUNTED_METRICS[METRICS[locked.on.event_type]].direction
    return type(rule) is type(locked)
