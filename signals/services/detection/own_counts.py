"""Counts of the series in which a project's own rules count the events of a series that is asked about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import BucketRange, Series, instant_of
from signals.domain.detection.rule_types import Rate, Rule
from signals.services.detection.project_rules import own_rule
from signals.store.detection import buckets, rule_epochs, series_facts
from signals.store.detection.series_facts import OverlappingIncident

KNOWN: Final = frozenset({"environment", "error_code", "route"})
"""Attributes of which the question names the value: rules by others count in several series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCounted:
    """A rule's own series: its events by minute, and its incidents around the instant.

    The series is that of the rule's versions from `since` on.
    """

    series: Series
    since: int
    counts: Mapping[int, int]
    incidents: Sequence[OverlappingIncident]


def counted_of(
    connection: Connection,
    rules: Sequence[Rule],
    like: Series,
    values: Mapping[str, str | None],
    minutes: range,
) -> Mapping[str, OwnCounted]:
    """Return, by rule, what its series of these values has counted in a range; none that counted nothing.

    `like` is a series of the tenant. The last hour of the range is the one around the instant.
    """
    wanted = [rule for rule in rules if not isinstance(rule, Rate) and set(rule.per) <= KNOWN]
    if not wanted:
        return {}
    epochs = rule_epochs.read(connection, [like.project_id])
    own = [own_rule(like.project_id, rule, epochs) for rule in wanted]
    series = [one.series(like.org_id, like.project_id, values) for one in own]
    found = buckets.read(connection, [BucketRange(one, minutes.start, minutes.stop, ()) for one in series])
    return {
        one.rule.name: OwnCounted(
            series=of_rule,
            since=one.since,
            counts=counts,
            incidents=series_facts.overlapping_incidents(
                connection, of_rule, instant_of(minutes.stop - 61), instant_of(minutes.stop)
            ),
        )
        for one, of_rule, counts in zip(own, series, found, strict=True)
        if counts
    }
