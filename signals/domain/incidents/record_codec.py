"""Writes a series' record as bytes, at most a kibibyte with the default rules, and reads it again."""

from typing import Final
from uuid import UUID

import msgspec

from signals.domain.detection.repeats import Repeats
from signals.domain.detection.season import HourRow
from signals.domain.detection.seasonal import Frozen
from signals.domain.detection.seasonal_state import SeasonalState
from signals.domain.detection.verdict import RuleVerdict
from signals.domain.incidents.episode import Episode, IncidentVerdict, ResolveReason
from signals.domain.incidents.following import SeriesRecord
from signals.domain.incidents.series_history import ORDINARY, KeptHours
from signals.domain.incidents.transitions import TrackState

FORMAT: Final = 1  # of the bytes; another one is not read, and the series begins anew
MAX_BYTES: Final = 1024  # design, with the rules of a new project

NOISE_UNITS: Final = 10_000  # of a ratio with four decimals: three bytes instead of nine
NO_TRIAL: Final = (None, 0, 0, 0)  # no level on trial, and nothing that an incident showed is usual

_Hour = tuple[int, float, int, int]  # events, expected, clean minutes, clean events


class _Episode(msgspec.Struct, array_like=True, frozen=True):
    """An incident without the conditions at its opening: those are stored with the incident."""

    rule: str
    length: int
    count: int
    normal: float
    threshold: float
    opened_at: int
    last_seen: int
    last_fired: int
    verdict: IncidentVerdict
    is_new: bool
    confirmed_at: int | None
    frozen: tuple[float, float] | None
    reopened: int
    resolved_at: int | None
    reason: ResolveReason | None
    shown: int = 0
    worse_at: int = 0


class _Record(msgspec.Struct, array_like=True, frozen=True):
    """A record; the fields with a default are absent in those of earlier releases."""

    format: int
    since: int
    judged: int
    last_event: int
    kept: tuple[int, int, int, int, tuple[float | None, ...], tuple[_Hour, ...]]
    season_since: int
    levels: tuple[float, ...]
    day: tuple[int, float]
    peaks: tuple[float, ...]
    peak: tuple[float, int, float]
    noise: tuple[tuple[float, ...], ...]
    noise_sums: tuple[float, ...]
    dirty: tuple[int, int]
    episode: _Episode | None
    last: _Episode | None
    fired: tuple[int, ...]
    incident: bytes | None
    last_incident: bytes | None
    repeats: Repeats = ORDINARY
    trial: tuple[float | None, int, int, int] = NO_TRIAL
    hour_peaks: tuple[int, ...] = ()
    today_noise: tuple[int, ...] = ()
    today_sums: tuple[float, float] = (0.0, 0.0)


class _RestingRecord(msgspec.Struct, array_like=True, frozen=True):
    """A record of which only the fields are read that a series at rest needs; the others stay bytes."""

    format: int
    since: int
    judged: int
    last_event: int
    kept: tuple[int, int, int, int, msgspec.Raw, msgspec.Raw]
    season_since: int
    levels: msgspec.Raw
    day: msgspec.Raw
    peaks: msgspec.Raw
    peak: msgspec.Raw
    noise: msgspec.Raw
    noise_sums: msgspec.Raw
    dirty: msgspec.Raw
    episode: msgspec.Raw
    last: msgspec.Raw
    fired: msgspec.Raw
    incident: msgspec.Raw
    last_incident: msgspec.Raw
    repeats: msgspec.Raw = msgspec.Raw(msgspec.msgpack.encode(ORDINARY))
    trial: msgspec.Raw = msgspec.Raw(msgspec.msgpack.encode(NO_TRIAL))
    hour_peaks: msgspec.Raw = msgspec.Raw(msgspec.msgpack.encode(()))
    today_noise: msgspec.Raw = msgspec.Raw(msgspec.msgpack.encode(()))
    today_sums: msgspec.Raw = msgspec.Raw(msgspec.msgpack.encode((0.0, 0.0)))


_NIL: Final = b"\xc0"  # MessagePack's null
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Record).decode
_decode_resting = msgspec.msgpack.Decoder(_RestingRecord).decode


def encode_record(record: SeriesRecord) -> bytes:
    """Write a record. The last resolved incident is kept while it may be opened again."""
    kept, track, season = record.kept, record.track, record.track.seasonal
    return _encode(
        _Record(
            format=FORMAT,
            since=record.since,
            judged=record.judged,
            last_event=record.last_event,
            kept=(
                kept.hour,
                kept.first,
                kept.minutes,
                kept.value,
                kept.rates,
                tuple((row.value, row.expected, row.clean_minutes, row.clean_value) for row in kept.newest),
            ),
            season_since=season.since,
            levels=season.levels,
            day=(season.day_value, season.day_expected),
            peaks=season.peaks,
            peak=(season.peak, season.newest_minute, season.newest_peak),
            noise=season.noise,
            noise_sums=season.noise_sums,
            dirty=(season.dirty_from, season.dirty_until),
            episode=_stored(track.episode),
            last=_stored(track.last),
            fired=track.fired,
            incident=record.incident.bytes if record.incident else None,
            last_incident=record.last_incident.bytes if record.last_incident else None,
            repeats=kept.repeats,
            trial=(season.moved, season.moved_since, season.shown_peak, season.shown_until),
            hour_peaks=tuple(row.peak for row in kept.newest),
            today_noise=tuple(round(one * NOISE_UNITS) for one in season.today_noise),
            today_sums=season.today_sums,
        )
    )


def decode_record(data: bytes) -> SeriesRecord | None:
    """Read a record; None when it was written in another format."""
    try:
        found = _decode(data)
    except msgspec.DecodeError:
        return None
    if found.format != FORMAT:
        return None
    day_value, day_expected = found.day
    peak, newest_minute, newest_peak = found.peak
    dirty_from, dirty_until = found.dirty
    moved, moved_since, shown_peak, shown_until = found.trial
    return SeriesRecord(
        since=found.since,
        judged=found.judged,
        last_event=found.last_event,
        kept=_kept(found),
        track=TrackState(
            seasonal=SeasonalState(
                since=found.season_since,
                levels=found.levels,
                day_value=day_value,
                day_expected=day_expected,
                peaks=found.peaks,
                peak=peak,
                newest_minute=newest_minute,
                newest_peak=newest_peak,
                noise=found.noise,
                noise_sums=found.noise_sums,
                dirty_from=dirty_from,
                dirty_until=dirty_until,
                moved=moved,
                moved_since=moved_since,
                shown_peak=shown_peak,
                shown_until=shown_until,
                today_noise=tuple(one / NOISE_UNITS for one in found.today_noise),
                today_sums=found.today_sums,
            ),
            episode=_episode(found.episode),
            last=_episode(found.last),
            fired=found.fired,
        ),
        incident=UUID(bytes=found.incident) if found.incident else None,
        last_incident=UUID(bytes=found.last_incident) if found.last_incident else None,
    )


def _kept(found: _Record) -> KeptHours:
    hour, first, minutes, value, rates, newest = found.kept
    hour_peaks = found.hour_peaks or (0,) * len(newest)
    return KeptHours(
        hour=hour,
        first=first,
        minutes=minutes,
        value=value,
        rates=rates,
        newest=tuple(
            HourRow(hour - 1 - back, *row, peak)
            for back, (row, peak) in enumerate(zip(newest, hour_peaks, strict=True))
        ),
        repeats=found.repeats,
    )


class RestingState:
    """The bytes of a record at rest: `hour` is open, `last_event` is its newest minute with events."""

    __slots__ = ("_record", "hour", "last_event")

    def __init__(self, record: _RestingRecord) -> None:
        self._record = record
        self.hour = record.kept[0]
        self.last_event = record.last_event

    def moved(self, judged: int, last_event: int) -> bytes:
        """Return the bytes with two other minutes."""
        return _encode(msgspec.structs.replace(self._record, judged=judged, last_event=last_event))


def read_resting(data: bytes) -> RestingState | None:
    """Read the few fields that a series at rest needs; None with an open incident or another format."""
    try:
        found = _decode_resting(data)
    except msgspec.DecodeError:
        return None
    if found.format != FORMAT or bytes(found.episode) != _NIL or bytes(found.incident) != _NIL:
        return None
    return RestingState(found)


def _stored(episode: Episode | None) -> _Episode | None:
    if episode is None:
        return None
    opened, frozen = episode.opened, episode.frozen
    return _Episode(
        rule=episode.rule,
        length=opened.length,
        count=opened.count,
        normal=opened.normal,
        threshold=opened.threshold,
        opened_at=episode.opened_at,
        last_seen=episode.last_seen,
        last_fired=episode.last_fired,
        verdict=episode.verdict,
        is_new=episode.is_new,
        confirmed_at=episode.confirmed_at,
        frozen=(frozen.level, frozen.need_z) if frozen else None,
        reopened=episode.reopened,
        resolved_at=episode.resolved_at,
        reason=episode.reason,
        shown=episode.shown,
        worse_at=episode.worse_at,
    )


def _episode(stored: _Episode | None) -> Episode | None:
    if stored is None:
        return None
    return Episode(
        rule=stored.rule,
        opened=RuleVerdict(
            rule=stored.rule,
            minute=stored.opened_at,
            length=stored.length,
            count=stored.count,
            normal=stored.normal,
            threshold=stored.threshold,
            conditions=(),
        ),
        opened_at=stored.opened_at,
        last_seen=stored.last_seen,
        last_fired=stored.last_fired,
        verdict=stored.verdict,
        is_new=stored.is_new,
        confirmed_at=stored.confirmed_at,
        frozen=Frozen(level=stored.frozen[0], need_z=stored.frozen[1]) if stored.frozen else None,
        reopened=stored.reopened,
        resolved_at=stored.resolved_at,
        reason=stored.reason,
        shown=stored.shown,
        worse_at=stored.worse_at,
    )
