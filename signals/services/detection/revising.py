"""Revises verdicts of a series that was counted out of order, once its minutes are known in order."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series
from signals.domain.incidents.episode import Episode, IncidentVerdict
from signals.store.incidents import incident_states

MOST_INCIDENTS: Final = 500  # of a series, newest first (guess: a year of a bad one)


def revise_verdicts(
    connection: Connection, series: Series, episodes: Sequence[Episode], *, since: int
) -> list[UUID]:
    """Give a series' incidents from the minute `since` on the verdicts of its replay; return what changed.

    An incident that the replay does not know stays, unconfirmed: people can ask for it.
    """
    found = incident_states.of_series(connection, series, since=since, rows=MOST_INCIDENTS)
    revised = {
        one.id: (verdict, confirmed)
        for one in found
        for verdict, confirmed in [_verdict(episodes, one.opened_at, one.ended_at)]
        if verdict != one.verdict
    }
    if revised:
        incident_states.revise(connection, revised)
    return list(revised)


def revised_episode(open_one: Episode, replayed: Episode | None) -> Episode:
    """Return the open incident with the verdict of the one that is open in the replay, None without one."""
    if replayed is None:
        verdict: IncidentVerdict = "learning" if open_one.verdict == "learning" else "unconfirmed"
        return replace(open_one, verdict=verdict, confirmed_at=None, confirmed_by=None, frozen=None)
    return replace(
        open_one,
        verdict=replayed.verdict,
        confirmed_at=replayed.confirmed_at,
        confirmed_by=replayed.confirmed_by,
        frozen=replayed.frozen,
        last_seen=max(open_one.last_seen, replayed.last_seen),
        last_fired=max(open_one.last_fired, replayed.last_fired),
    )


def _verdict(
    episodes: Sequence[Episode], opened_at: int, ended_at: int | None
) -> tuple[IncidentVerdict, int | None]:
    """Return the verdict of the replayed incidents that lasted at the same time: confirmed if one was."""
    same = [
        one
        for one in episodes
        if (ended_at is None or one.opened_at <= ended_at)
        and (one.resolved_at is None or one.resolved_at >= opened_at)
    ]
    confirmed = next((one for one in same if one.is_confirmed), None)
    if confirmed is not None:
        return "confirmed", confirmed.confirmed_at
    return (same[0].verdict if same else "unconfirmed"), None
