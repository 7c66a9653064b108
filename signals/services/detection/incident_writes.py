"""Writes what the lifecycle decided: incidents, their numbers, representatives and summary jobs."""

from collections.abc import Callable, Mapping, Sequence
from uuid import NAMESPACE_URL, UUID, uuid5

from shared_types import Envelope, parse_envelope
from signals.clients.postgres import Connection
from signals.domain.detection.buckets import instant_of
from signals.domain.detection.builtin_rules import RULES
from signals.domain.detection.tally import Judged, SeriesMinute
from signals.domain.incidents.lifecycle import IncidentChange, decide, title_of
from signals.domain.incidents.representatives import PER_MINUTE, choose
from signals.store.detection import histories
from signals.store.incidents import incident_events, incident_states, incidents
from signals.store.incidents.incident_events import Representative
from signals.store.incidents.incident_states import NewState
from signals.store.incidents.incidents import NewIncident, Touch, key_of
from signals.store.summary import ai_jobs


def write(
    connection: Connection,
    judged: Sequence[Judged],
    kept: Mapping[SeriesMinute, Sequence[bytes]],
    new_id: Callable[[], UUID],
) -> list[UUID]:
    """Apply evaluations to incidents in the caller's transaction; return the ids of new summary jobs.

    `kept` holds the records that may represent a minute; without any (a tick has no event) a row with
    the rule's numbers stands for it.
    """
    alarming = [j for j in judged if any(e.fires or e.may_sustain for e in j.evaluations)]
    if not alarming:
        return []
    current = incidents.lock_open(connection, [j.series for j in alarming])
    beginning = {
        j.series: firing
        for j in alarming
        if key_of(j.series) not in current and (firing := next((e for e in j.evaluations if e.fires), None))
    }
    known = histories.read(connection, beginning) if beginning else {}
    decided = (
        change
        for j in alarming
        for change in decide(
            j.series, j.evaluations, j.seen_at, current.get(key_of(j.series)), known.get(j.series)
        )
    )
    changes = {change.incident_id or new_id(): change for change in decided}
    if not changes:
        return []
    _write_incidents(connection, changes)
    _write_representatives(connection, changes, kept)
    return _enqueue_summaries(connection, changes, new_id)


def _write_incidents(connection: Connection, changes: Mapping[UUID, IncidentChange]) -> None:
    """Touch and end what was open, then open what is new: a series has one unresolved incident."""
    touched = [
        Touch(id=incident_id, severity=change.severity, last_seen_at=change.last_seen_at)
        for incident_id, change in changes.items()
        if change.incident_id and change.last_seen_at
    ]
    ended = {
        incident_id: change.ended
        for incident_id, change in changes.items()
        if change.incident_id and change.ended
    }
    opened = [_new_incident(incident_id, change) for incident_id, change in changes.items() if change.opened]
    if touched:
        incidents.touch_all(connection, touched)
    if ended:
        incident_states.resolve_all(connection, ended)
    if opened:
        incidents.open_all(connection, opened)
    _write_numbers(connection, changes)


def _new_incident(incident_id: UUID, change: IncidentChange) -> NewIncident:
    assert change.opened
    assert change.opened_at
    assert change.last_seen_at
    return NewIncident(
        id=incident_id,
        series=change.series,
        severity=change.severity,
        title=title_of(change.series, change.opened, change.kind),
        opened_at=change.opened_at,
        last_seen_at=change.last_seen_at,
        is_over=change.ended is not None,
    )


def _write_numbers(connection: Connection, changes: Mapping[UUID, IncidentChange]) -> None:
    numbers = {
        (incident_id, moment): evaluation
        for incident_id, change in changes.items()
        for moment, evaluation in (("latest", change.latest), ("opened", change.opened))
        if evaluation
    }
    if numbers:
        incident_events.keep_evaluations(connection, numbers)
    opened = [
        NewState(
            incident_id=incident_id,
            kind=change.kind,
            verdict="learning" if change.is_learning else None,
            last_fired=change.last_fired,
            known_from=change.known_from,
            resolve_reason=change.ended,
        )
        for incident_id, change in changes.items()
        if change.opened
    ]
    fired = {
        change.incident_id: change.last_fired
        for change in changes.values()
        if change.incident_id and change.last_fired is not None
    }
    if opened:
        incident_states.insert_all(connection, opened)
    if fired:
        incident_states.note_firings(connection, fired)


def _write_representatives(
    connection: Connection,
    changes: Mapping[UUID, IncidentChange],
    kept: Mapping[SeriesMinute, Sequence[bytes]],
) -> None:
    minutes = [
        (incident_id, minute)
        for incident_id, change in changes.items()
        for minute in change.minutes
        if (change.series, minute) in kept
    ]
    existing = incident_events.count_by_minute(connection, minutes) if minutes else {}
    rows = [
        _event_row(incident_id, event)
        for incident_id, minute in minutes
        for event in _chosen(
            kept[changes[incident_id].series, minute], PER_MINUTE - existing[incident_id, minute]
        )
    ]
    rows += [
        _numbers_row(incident_id, change)
        for incident_id, change in changes.items()
        if change.opened and (change.series, change.opened.minute) not in kept
    ]
    if rows:
        incident_events.insert_all(connection, rows)


def _chosen(records: Sequence[bytes], places: int) -> list[Envelope]:
    """Read records only where one of them has a place."""
    return choose([parse_envelope(record) for record in records], places) if places > 0 else []


def _event_row(incident_id: UUID, event: Envelope) -> Representative:
    attributes = event.attributes.model_dump(mode="json", exclude_none=True)
    return Representative(
        incident_id=incident_id,
        event_id=event.event_id,
        occurred_at=event.occurred_at,
        event_type=event.event_type.value,
        severity=event.severity.value,
        attributes={**attributes, "message": event.message},
    )


def _numbers_row(incident_id: UUID, change: IncidentChange) -> Representative:
    evaluation = change.latest
    assert evaluation is not None  # whatever opens has been seen
    rule = RULES[evaluation.rule]
    name = f"{change.series.project_id}|{change.series.fingerprint}|{evaluation.minute}"
    return Representative(
        incident_id=incident_id,
        event_id=uuid5(NAMESPACE_URL, f"signals:tick:{name}"),  # the same tick always gets the same id
        occurred_at=instant_of(evaluation.minute),
        event_type=rule.event_type.value,
        severity=change.severity.label,
        attributes={
            "rule": evaluation.rule,
            "count": evaluation.count,
            "baseline": evaluation.baseline,
            "threshold": evaluation.threshold,
            "message": (
                f"{evaluation.count} {rule.counted} in {rule.window_minutes} minutes, "
                f"usually {evaluation.baseline:.0f}"
            ),
        },
    )


def _enqueue_summaries(
    connection: Connection, changes: Mapping[UUID, IncidentChange], new_id: Callable[[], UUID]
) -> list[UUID]:
    wanted = {new_id(): incident_id for incident_id, change in changes.items() if change.summarize}
    return ai_jobs.enqueue_all(connection, wanted) if wanted else []
