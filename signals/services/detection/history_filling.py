"""Learns series anew from their buckets: counted before hours were kept, or counted out of order.

A series is replayed through the same minutes that live evaluation would have judged, a few series at a time.
Its open incident stays; only what it taught is stored. Incidents of a series that was counted out of order
get the verdicts of the replay. A killed process has learned whole series.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from msgspec.structs import replace
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import BucketRange
from signals.domain.detection.counts import PrefixCounts
from signals.domain.detection.season import DAY, HOUR
from signals.domain.detection.seasonal_state import NEVER, SeasonalState
from signals.domain.incidents.episode import Episode
from signals.domain.incidents.following import SeriesFollower, SeriesRecord, Surroundings, begin_series
from signals.domain.incidents.late_events import HISTORY_DAYS
from signals.domain.incidents.record_codec import decode_record, encode_record
from signals.domain.incidents.series_history import Hours, is_remarkable
from signals.domain.incidents.series_replay import one_each, stretches
from signals.domain.incidents.stored_state import StoredState
from signals.domain.incidents.transitions import TrackState
from signals.services.detection.project_rules import ProjectRules, RuleBook
from signals.services.detection.revising import revise_verdicts, revised_episode
from signals.store.detection import buckets, hours, rule_states, waiting_series
from signals.store.detection.rule_states import StateWrite
from signals.store.incidents import outage_states

PAGE: Final = 20  # series a transaction: busy ones take a third of a second each
PAGES: Final = 10  # a round; a round a minute fills 10,000 series in an hour
QUIET_S: Final = 120.0  # without late events, before a series is learned anew (guess: a backfill goes on)
MOST_S: Final = 3600.0  # in which late events may put that off

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Replayed:
    """The newest stretch of a series, replayed."""

    record: SeriesRecord
    hours: Hours
    episodes: list[Episode]


class HistoryFilling:
    """Fills in missing history. Several may do it at once: a series is locked by one of them."""

    def __init__(
        self, pool: ConnectionPool[Connection], *, page: int = PAGE, quiet_s: float = QUIET_S
    ) -> None:
        self._pool = pool
        self._page = page
        self._quiet_s = quiet_s
        self._book = RuleBook()

    def round(self) -> int:
        """Fill some pages, each in a transaction of its own; return how many series were filled.

        Raises:
            DependencyUnavailable: when PostgreSQL is away.
        """
        filled = 0
        for _ in range(PAGES):
            with transaction(self._pool) as connection:
                found = waiting_series.waiting(
                    connection, rows=self._page, quiet_s=self._quiet_s, most_s=MOST_S
                )
                rules = self._book.of(connection, {one.series.project_id for one in found})
                revised: list[UUID] = []
                for stored in found:
                    revised += _fill(connection, stored, rules[stored.series.project_id])
                if revised:  # outages last: who changes an incident locks it first, then its outage
                    outage_states.follow_incidents(connection, revised)
            filled += len(found)
            if revised:
                log.info("verdicts revised after late events", incidents=len(revised))
            if len(found) < self._page:
                break
        if filled:
            log.info("history filled in", series=filled)
        return filled


def _fill(connection: Connection, stored: StoredState, rules: ProjectRules) -> list[UUID]:
    """Learn one series anew; return the incidents whose verdict changed."""
    watch = rules.watch_of(stored.series.metric_name)
    record = decode_record(stored.state) if stored.state is not None else None
    judged = stored.judged  # a state that only moved on in time still holds an older minute
    replayed = _replayed(connection, stored, judged, rules)
    waiting_series.note_learned(connection, stored.series_id)
    if watch is None or replayed is None:
        return []
    last = replayed.episodes[-1] if replayed.episodes else None
    track = _track(replayed.record, record, last, is_disordered=stored.is_disordered)
    learned = replace(replayed.record, judged=judged, track=track)
    if record is not None:
        learned = replace(
            learned,
            last_event=max(record.last_event, learned.last_event),
            incident=record.incident,
            last_incident=record.last_incident,
        )
    hours.forget(connection, {stored.series_id: learned.kept.hour})
    kept = {
        (stored.series_id, hour): row.stored for hour, row in replayed.hours.items() if is_remarkable(row)
    }
    if kept:
        hours.write(connection, kept)
    is_own = stored.series.metric_name in rules.own.by_metric  # it stays due for the tick of own rules
    write = StateWrite(
        series_id=stored.series_id,
        partition=stored.partition,
        by_clock=not is_own and (watch.watches_silence or track.episode is not None),
        judged=judged,
        state=encode_record(learned),
    )
    rule_states.save(connection, [write])
    if not stored.is_disordered:
        return []
    return revise_verdicts(connection, stored.series, replayed.episodes, since=learned.since)


def _track(
    replayed: SeriesRecord, record: SeriesRecord | None, last: Episode | None, *, is_disordered: bool
) -> TrackState:
    """Return the learned seasons with the incident that is open, which no replay opens or ends."""
    seasonal = replayed.track.seasonal
    if record is None:
        return TrackState(seasonal=_over(seasonal, replayed.judged))
    episode = record.track.episode
    if episode is None:
        return replace(record.track, seasonal=_over(seasonal, replayed.judged))
    if is_disordered:
        episode = revised_episode(episode, last if last is not None and last.resolved_at is None else None)
    if not episode.is_confirmed:
        seasonal = _over(seasonal, replayed.judged)
    return replace(record.track, seasonal=seasonal, episode=episode)


def _over(seasonal: SeasonalState, judged: int) -> SeasonalState:
    """Return the seasons with the replay's open outage over: the series has none. A trial goes on."""
    if seasonal.dirty_until < NEVER or seasonal.moved is not None:
        return seasonal
    return replace(seasonal, dirty_until=judged + 1)


def _replayed(
    connection: Connection, stored: StoredState, judged: int, rules: ProjectRules
) -> _Replayed | None:
    """Replay the series' newest stretch until the minute that was judged; None without a bucket in it."""
    oldest = judged - HISTORY_DAYS * DAY * HOUR
    [counts] = buckets.read(connection, [BucketRange(stored.series, oldest, judged + 1, ())])
    found = list(stretches(counts, judged + 1))
    watch = rules.watch_of(stored.series.metric_name)
    if not found or watch is None:
        return None
    newest, project_id = found[-1], stored.series.project_id
    around = Surroundings(
        counts=PrefixCounts(newest.since, newest.counts),
        hours={},
        project_since=rule_states.project_since(connection, [project_id])[project_id],
        clock=rules.clock,
    )
    follower = SeriesFollower(watch, begin_series(newest.since), around)
    last = newest.since + len(newest.counts) - 1
    closed = [ended for followed in follower.advance(last) for ended in followed.closed]
    return _Replayed(
        record=follower.record(), hours=around.hours, episodes=one_each(closed, follower.track.episode)
    )
