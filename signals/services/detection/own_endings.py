"""Ends the incidents of own rules that are off, gone, or count something else by now."""

from collections.abc import Mapping, Sequence
from uuid import uuid4

import structlog

from shared_types import RuleFingerprint
from signals.clients.postgres import Connection
from signals.domain.detection.severity import IncidentSeverity
from signals.domain.incidents.episode import Episode, ResolveReason, resolved
from signals.domain.incidents.lifecycle import IncidentChange, OpenIncident
from signals.services.detection.incident_writes import write
from signals.services.detection.project_rules import ProjectRules
from signals.store.detection import due_series
from signals.store.detection.due_series import DueSeries, OwnState
from signals.store.incidents import incidents
from signals.store.incidents.incidents import key_of

log = structlog.get_logger(__name__)


def end_former(
    connection: Connection, former: Sequence[DueSeries], rules: Mapping[str, ProjectRules], minute: int
) -> None:
    """Let go of series that no rule watches any more, and resolve their incidents at `minute`.

    An incident of a rule that goes on under a new version, over other events or series, ends as
    `rule_changed`; one of a rule that is disabled or removed as `rule_off`.
    """
    with_incident = [one for one in former if one.has_open]
    current = incidents.lock_open(connection, [one.series for one in with_incident]) if with_incident else {}
    changes = [
        _ending(one, current[key_of(one.series)], rules[one.series.project_id], minute)
        for one in with_incident
        if key_of(one.series) in current
    ]
    if changes:
        write(connection, changes, {}, uuid4)
        log.info("incidents of former rules ended", count=len(changes))
    due_series.save(
        connection,
        [OwnState(series_id=one.series_id, is_due=False, judged=minute, state=None) for one in former],
    )


def _ending(one: DueSeries, current: OpenIncident, rules: ProjectRules, minute: int) -> IncidentChange:
    named = RuleFingerprint.parse(one.series.fingerprint)
    goes_on = any(own.rule.name == named.rule for own in rules.own.by_metric.values())
    reason: ResolveReason = "rule_changed" if goes_on or named.rule in rules.shared_names else "rule_off"
    episode = Episode(
        rule=current.opened.rule,
        opened=current.opened,
        opened_at=current.opened_at,
        last_seen=current.last_seen,
        last_fired=current.last_fired,
        verdict=current.verdict,
        is_new=current.kind == "new",
    )
    return IncidentChange(
        series=one.series,
        incident_id=current.id,
        episode=resolved(episode, minute, reason),
        opened=None,
        opened_at=None,
        reopens=False,
        latest=None,
        last_seen_at=None,
        severity=IncidentSeverity.WARN,
        summarize=False,
        minutes=(),
        numbers=None,
        rule_version=named.since,
        direction="up",
        known_from=None,
    )
