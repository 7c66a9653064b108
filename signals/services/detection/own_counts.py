"""Counts of the series in which a project's own rules count the events of a series that is asked about."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from shared_types import Tenancy
from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series, instant_of
from signals.domain.detection.own_rules import OwnRule
from signals.domain.detection.rule_types import Rule
from signals.domain.incidents.nearest_miss import KnownCounts
from signals.services.detection.project_rules import own_rule, own_rules
from signals.services.detection.series_question import SeriesQuestion, selects, values_of
from signals.store.detection import own_series, rule_epochs, rule_minutes, series_facts
from signals.store.detection.rule_minutes import MinuteRange
from signals.store.detection.series_facts import OverlappingIncident


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCounted:
    """A rule's own series: its events by minute, and its incidents around the instant.

    `counts` is None for a series that shares the buckets of the one that is asked about.
    """

    own: OwnRule
    series: Series
    counts: KnownCounts | None
    incidents: Sequence[OverlappingIncident]


def counted_of(
    connection: Connection,
    rules: Collection[Rule],
    tenancy: Tenancy,
    question: SeriesQuestion,
    minutes: range,
) -> Mapping[str, OwnCounted]:
    """Return, by rule, its series of these values; none of a rule by attributes that are not asked about.

    The last hour of the range is the one around the instant.
    """
    values = values_of(question)
    wanted = [one for one in own_rules([*rules]) if selects(one, question) and set(one.per) <= values.keys()]
    epochs = rule_epochs.read(connection, [tenancy.project_id])
    own = [own_rule(tenancy.project_id, rule, epochs) for rule in wanted]
    series = {one: one.series(tenancy.org_id, tenancy.project_id, values) for one in own}
    counts = _counts(connection, {one: of for one, of in series.items() if not one.shares_buckets}, minutes)
    return {
        one.rule.name: OwnCounted(
            own=one,
            series=of_rule,
            counts=counts.get(one),
            incidents=series_facts.overlapping_incidents(
                connection, of_rule, instant_of(minutes.stop - 61), instant_of(minutes.stop)
            ),
        )
        for one, of_rule in series.items()
        if one.shares_buckets or one in counts
    }


def _counts(
    connection: Connection, series: Mapping[OwnRule, Series], minutes: range
) -> Mapping[OwnRule, KnownCounts]:
    """Read the minutes of series by their rules; those that counted nothing are left out."""
    if not series:
        return {}
    ids = own_series.find(connection, [*series.values()])
    known = [(one, ids[of_rule]) for one, of_rule in series.items() if of_rule in ids]
    reads = [
        MinuteRange(series_id, min(minutes.start, minutes.stop - one.rule.forgotten_after), minutes.stop)
        for one, series_id in known
    ]
    found = rule_minutes.read(connection, reads) if reads else []
    return {
        one: KnownCounts(values, whole)
        for (one, _), (values, whole) in zip(known, found, strict=True)
        if values or whole
    }
