"""Rules of a project's own: which series their events make, and whose counters these share.

A rule is a project's own unless it watches the series of Rule A or Rule B together with them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from shared_types import Fingerprint, RuleFingerprint
from shared_types.fingerprints import ALL_ENVIRONMENTS, METRICS, rule_metric
from shared_types.vocabulary import Environment, EventType
from signals.domain.detection.buckets import Series
from signals.domain.detection.rule_types import FINGERPRINT, EventSelection, Rule

CONDITIONS: Final = ("error_code", "route", "release", "status_code", "method", "severity", "environment")
"""The attributes that a selection may have conditions on, most selective first."""
MAX_TEXT_BYTES: Final = 1_500  # of a fingerprint: PostgreSQL bounds a row of an index at 2,704 bytes
KEPT_CHARS: Final = 40  # of a value in a longer one; a digest of the whole follows
COUNTED: Final[Mapping[EventType, frozenset[str]]] = {
    EventType.ERROR: frozenset(FINGERPRINT),
    EventType.SIGNUP: frozenset({"environment"}),
}
"""The attributes that make one series of the counters of Rules A and B."""


def conditions_of(selection: EventSelection) -> Mapping[str, Sequence[str]]:
    """Return the attributes that a selection has conditions on, with the values that they may have."""
    return {name: values for name in CONDITIONS if (values := getattr(selection, name))}


@dataclass(frozen=True, eq=False)
class OwnRule:
    """A rule of a project's own; `since` is its version from which it has counted without a gap.

    `begun` is the minute of that version, 0 where it does not matter.
    """

    rule: Rule
    since: int
    begun: int = 0

    @cached_property
    def metric_name(self) -> str:
        """The name of its counter."""
        return rule_metric(self.rule.name, self.since)

    @cached_property
    def shares_buckets(self) -> bool:
        """Whether each of its series counts exactly the events of one series of Rule A or B."""
        known = COUNTED.get(self.rule.on.event_type)
        if known is None or self.rule.whole is not None:
            return False
        return set(self.rule.per) == known and set(conditions_of(self.rule.on)) <= known

    @cached_property
    def fixed(self) -> tuple[tuple[str, str], ...]:
        """The attributes of which `on` allows one value: all events share it."""
        return tuple(
            (name, str(values[0]))
            for name, values in conditions_of(self.rule.on).items()
            if len(values) == 1 and name not in self.rule.per
        )

    def shared_by(self, values: Mapping[str, str | None]) -> tuple[tuple[str, str | None], ...]:
        """Return the attributes that all events of a series share, by its values of the rule's `per`."""
        return (*self.fixed, *((name, values[name]) for name in self.rule.per))

    def series(self, org_id: str, project_id: str, values: Mapping[str, str | None]) -> Series:
        """Return the series of events with these values of the rule's `per`."""
        return self._series(org_id, project_id, _bounded(self.shared_by(values)), is_other=False)

    def other(self, org_id: str, project_id: str) -> Series:
        """Return the series of what comes when the rule has `max_series` series."""
        return self._series(org_id, project_id, self.fixed, is_other=True)

    def _series(
        self, org_id: str, project_id: str, pairs: tuple[tuple[str, str | None], ...], *, is_other: bool
    ) -> Series:
        named = RuleFingerprint(
            rule=self.rule.name,
            since=self.since,
            kind=self.rule.change,
            event_type=self.rule.on.event_type,
            values=pairs,
            is_other=is_other,
        )
        environment = named.environment or ALL_ENVIRONMENTS
        return Series(project_id, str(environment), self.metric_name, named.text, org_id)

    def buckets_of(self, series: Series) -> Series | None:
        """Return the series of Rule A or B whose buckets one of the rule's series shares, if it does."""
        named = RuleFingerprint.parse(series.fingerprint)
        if not self.shares_buckets or named.is_other or named.environment is None:
            return None
        return counted_series(series, named.event_type, named.environment, named)


def counted_series(
    like: Series, event_type: EventType, environment: Environment, named: RuleFingerprint
) -> Series:
    """Return the series of Rule A or B, of the tenant of another series, that has a rule series' values."""
    is_error = event_type is EventType.ERROR
    shared = Fingerprint(
        event_type=EventType.ERROR if is_error else EventType.SIGNUP,
        environment=environment,
        error_code=named.error_code if is_error else None,
        route=named.route if is_error else None,
    )
    metric = METRICS[shared.event_type]
    return Series(like.project_id, environment.value, metric, shared.text, like.org_id)


def _bounded(pairs: tuple[tuple[str, str | None], ...]) -> tuple[tuple[str, str | None], ...]:
    """Shorten long values where all of them together would not fit an index."""
    if sum(len((value or "").encode()) for _, value in pairs) <= MAX_TEXT_BYTES:
        return pairs
    return tuple((name, _shortened(value)) for name, value in pairs)


def _shortened(value: str | None) -> str | None:
    if value is None or len(value) <= KEPT_CHARS:
        return value
    return f"{value[:KEPT_CHARS]}~{hashlib.sha256(value.encode()).hexdigest()[:16]}"
