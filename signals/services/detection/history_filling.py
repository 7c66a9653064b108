"""Fills in the history of series that had buckets before the engine kept hours: a few series at a time.

A series is replayed through the same minutes that live evaluation would have judged. Its open incident stays
as it is; only what it taught is stored. A killed process has filled whole series.
"""

from dataclasses import replace
from typing import Final

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import BucketRange, Series
from signals.domain.detection.counts import PrefixCounts
from signals.domain.detection.season import DAY, HOUR
from signals.domain.incidents.following import SeriesFollower, SeriesRecord, Surroundings, begin_series
from signals.domain.incidents.record_codec import decode_record, encode_record
from signals.domain.incidents.series_history import Hours, is_remarkable
from signals.domain.incidents.series_replay import stretches
from signals.services.detection.project_rules import ProjectRules, RuleBook
from signals.store.detection import buckets, hours, rule_states
from signals.store.detection.rule_states import StateWrite, StoredState

HISTORY_DAYS: Final = 35  # of hours that are kept
PAGE: Final = 20  # series a transaction: busy ones take a third of a second each
PAGES: Final = 10  # a round; a round a minute fills 10,000 series in an hour

log = structlog.get_logger(__name__)


class HistoryFilling:
    """Fills in missing history. Several may do it at once: a series is locked by one of them."""

    def __init__(self, pool: ConnectionPool[Connection], *, page: int = PAGE) -> None:
        self._pool = pool
        self._page = page
        self._book = RuleBook()

    def round(self) -> int:
        """Fill some pages, each in a transaction of its own; return how many series were filled.

        Raises:
            DependencyUnavailable: when PostgreSQL is away.
        """
        filled = 0
        for _ in range(PAGES):
            with transaction(self._pool) as connection:
                waiting = rule_states.without_history(connection, most=self._page)
                rules = self._book.of(connection, {one.series.project_id for one in waiting})
                for stored in waiting:
                    _fill(connection, stored, rules[stored.series.project_id])
            filled += len(waiting)
            if len(waiting) < self._page:
                break
        if filled:
            log.info("history filled in", series=filled)
        return filled


def _fill(connection: Connection, stored: StoredState, rules: ProjectRules) -> None:
    watch = rules.watch_of(stored.series.metric_name)
    record = decode_record(stored.state) if stored.state is not None else None
    judged = record.judged if record is not None else stored.judged
    past = _followed(connection, stored.series, stored.first_bucket, judged, rules)
    if watch is None or past is None:
        rule_states.note_history(connection, stored.series_id)
        return
    replayed, closed = past
    track = replace(replayed.track, episode=None, last=None, fired=())
    if record is not None:
        track = replace(record.track, seasonal=track.seasonal)
        replayed = replace(replayed, last_event=max(record.last_event, replayed.last_event))
        replayed = replace(replayed, incident=record.incident, last_incident=record.last_incident)
    hours.write(
        connection,
        {
            (stored.series_id, hour): (row.value, row.clean_minutes, row.clean_value)
            for hour, row in closed.items()
            if is_remarkable(row)
        },
    )
    is_own = stored.series.metric_name in rules.own.by_metric  # it stays due for the tick of own rules
    write = StateWrite(
        series_id=stored.series_id,
        partition=stored.partition,
        by_clock=not is_own and (watch.watches_silence or track.episode is not None),
        judged=judged,
        state=encode_record(replace(replayed, judged=judged, track=track)),
    )
    rule_states.save(connection, [write])
    rule_states.note_history(connection, stored.series_id)


def _followed(
    connection: Connection, series: Series, first: int, judged: int, rules: ProjectRules
) -> tuple[SeriesRecord, Hours] | None:
    """Replay the series' newest stretch until the minute that was judged; None without a bucket in it."""
    oldest = max(first, judged - HISTORY_DAYS * DAY * HOUR)
    [counts] = buckets.read(connection, [BucketRange(series, oldest, judged + 1, ())])
    found = list(stretches(counts, judged + 1))
    watch = rules.watch_of(series.metric_name)
    if not found or watch is None:
        return None
    newest = found[-1]
    around = Surroundings(
        counts=PrefixCounts(newest.since, newest.counts),
        hours={},
        project_since=first,
        clock=rules.clock,
    )
    follower = SeriesFollower(watch, begin_series(newest.since), around)
    for _ in follower.advance(newest.since + len(newest.counts) - 1):
        pass
    return follower.record(), around.hours
