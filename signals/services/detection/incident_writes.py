"""Writes what the lifecycle decided: incidents, their numbers, representatives and summary jobs."""

from collections.abc import Callable, Mapping, Sequence
from uuid import NAMESPACE_URL, UUID, uuid5

from shared_types import Envelope, parse_envelope, read_fingerprint
from signals.clients.postgres import Connection
from signals.domain.detection.buckets import instant_of
from signals.domain.detection.counted import counted_in
from signals.domain.incidents.lifecycle import IncidentChange, title_of
from signals.domain.incidents.representatives import PER_MINUTE, choose
from signals.domain.incidents.rule_words import minutes_of
from signals.services.detection.tally import SeriesMinute
from signals.services.grouping import group
from signals.store.incidents import incident_events, incident_states, incidents
from signals.store.incidents.incident_events import Representative
from signals.store.incidents.incident_states import StateChange
from signals.store.incidents.incidents import NewIncident, Touch
from signals.store.summary import ai_jobs


def write(
    connection: Connection,
    changes: Sequence[IncidentChange],
    kept: Mapping[SeriesMinute, Sequence[bytes]],
    new_id: Callable[[], UUID],
) -> list[UUID]:
    """Write changes of incidents in the caller's transaction; return the ids of new summary jobs.

    `kept` holds the records that may represent a minute; without any (a tick has no event) a row with
    the rule's numbers stands for it.
    """
    by_id = {change.incident_id: change for change in changes}
    _write_incidents(connection, by_id)
    _write_numbers(connection, by_id)
    _write_representatives(connection, by_id, kept)
    job_ids = _enqueue_summaries(connection, by_id, new_id)
    group(connection, [change.incident_id for change in changes if change.opened])
    return job_ids


def _write_incidents(connection: Connection, changes: Mapping[UUID, IncidentChange]) -> None:
    """Touch and end what was open, then open what is new or back: a series has one unresolved incident."""
    known = {incident_id: change for incident_id, change in changes.items() if not change.opened}
    touched = [_touch(change) for change in known.values() if change.last_seen_at and not change.reopens]
    ended = [incident_id for incident_id, change in known.items() if change.episode.resolved_at is not None]
    back = [_touch(change) for change in known.values() if change.last_seen_at and change.reopens]
    opened = [_new_incident(change) for change in changes.values() if change.opened]
    if touched:
        incidents.touch_all(connection, touched)
    if ended:
        incident_states.resolve_all(connection, ended)
    if back:
        incidents.reopen_all(connection, back)
    if opened:
        incidents.open_all(connection, opened)


def _touch(change: IncidentChange) -> Touch:
    assert change.last_seen_at
    return Touch(id=change.incident_id, severity=change.severity, last_seen_at=change.last_seen_at)


def _new_incident(change: IncidentChange) -> NewIncident:
    assert change.opened
    assert change.opened_at
    return NewIncident(
        id=change.incident_id,
        series=change.series,
        severity=change.severity,
        title=title_of(change.series, change.opened, change.kind),
        opened_at=change.opened_at,
        last_seen_at=change.last_seen_at or change.opened_at,
        is_over=change.episode.resolved_at is not None,
    )


def _write_numbers(connection: Connection, changes: Mapping[UUID, IncidentChange]) -> None:
    numbers = {
        (incident_id, moment): verdict
        for incident_id, change in changes.items()
        for moment, verdict in (("latest", change.latest), ("opened", change.opened))
        if verdict
    }
    if numbers:
        incident_events.keep_evaluations(connection, numbers)
    states = {incident_id: _state(change) for incident_id, change in changes.items()}
    opened = [incident_id for incident_id, change in changes.items() if change.opened]
    incident_states.write_all(connection, states, opened)


def _state(change: IncidentChange) -> StateChange:
    episode = change.episode
    return StateChange(
        incident_id=change.incident_id,
        kind=change.kind,
        verdict=episode.verdict,
        rule=episode.rule,
        rule_version=change.rule_version,
        last_fired=episode.last_fired,
        known_from=change.known_from,
        confirmed=episode.confirmed_at,
        numbers=change.numbers,
        reopened=episode.reopened,
        resolve_reason=episode.reason,
        ended=episode.resolved_at,
    )


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
    verdict = change.latest or change.opened
    assert verdict is not None  # whatever opens has numbers
    counted = counted_in(read_fingerprint(change.series.fingerprint))
    name = f"{change.series.project_id}|{change.series.fingerprint}|{verdict.minute}"
    return Representative(
        incident_id=incident_id,
        event_id=uuid5(NAMESPACE_URL, f"signals:tick:{name}"),  # the same tick always gets the same id
        occurred_at=instant_of(verdict.minute),
        event_type=counted.event_type,
        severity=change.severity.label,
        attributes={
            "rule": verdict.rule,
            "count": verdict.count,
            "baseline": verdict.normal,
            "threshold": verdict.threshold,
            "message": (
                f"{verdict.count} {counted.counted} in {minutes_of(verdict.length)},"
                f" usually {verdict.normal:.0f}"
            ),
        },
    )


def _enqueue_summaries(
    connection: Connection, changes: Mapping[UUID, IncidentChange], new_id: Callable[[], UUID]
) -> list[UUID]:
    wanted = {new_id(): incident_id for incident_id, change in changes.items() if change.summarize}
    return ai_jobs.enqueue_all(connection, wanted) if wanted else []
