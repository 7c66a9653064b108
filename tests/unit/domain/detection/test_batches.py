"""Evaluating a batch once a minute says what evaluating after every single event would have said."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from shared_types import Envelope
from signals.domain.detection.buckets import Series, minute_of, ranges
from signals.domain.detection.builtin_rules import HISTORY_MINUTES, IncidentSeverity
from signals.domain.detection.tally import BatchTally
from signals.domain.events.sightings import sighting_of
from signals.domain.incidents.lifecycle import OpenIncident, decide
from tests.support.events import NOON, event
from tests.unit.domain.detection.naive_detection import NaiveDetection, NaiveIncident

START = NOON - timedelta(days=730)
YEAR_MINUTES = 525_600


class BatchDetection:
    """The engine's way, with a dict for the buckets table and one for the incidents."""

    def __init__(self) -> None:
        self.buckets: Counter[tuple[Series, int]] = Counter()
        self.incidents: dict[str, NaiveIncident] = {}

    def count(self, batch: Sequence[Envelope]) -> None:
        """Count one batch and judge it."""
        tally = BatchTally()
        for envelope in batch:
            sighting = sighting_of(envelope)
            if sighting.series is not None:
                tally.add(sighting.series, sighting, b"")
        self.buckets.update(tally.counts())
        reads = list(ranges(tally.touched(), HISTORY_MINUTES))
        counts = [
            {minute: self.buckets[read.series, minute] for minute in range(read.start, read.end)}
            for read in reads
        ]
        for judged in tally.judge(reads, counts):
            name = judged.series.fingerprint
            for change in decide(judged.series, judged.evaluations, judged.seen_at, self._open(name)):
                assert change.last_seen_at is not None
                known = self.incidents.get(name)
                opened = change.opened.minute if change.opened else known.opened_minute if known else 0
                normal = change.opened.baseline if change.opened else known.normal if known else 0
                self.incidents[name] = NaiveIncident(
                    opened, minute_of(change.last_seen_at), change.severity.label, normal
                )

    def _open(self, name: str) -> OpenIncident | None:
        incident = self.incidents.get(name)
        if incident is None:
            return None
        severity = IncidentSeverity.parse(incident.severity)
        return OpenIncident(
            id=UUID(int=1),
            severity=severity,
            summary_asked_s_ago=0,
            normal=incident.normal,
            last_seen=incident.last_seen_minute,
            last_fired=incident.last_seen_minute,  # so that nothing becomes usual: nothing ends here
        )


def _run(event_type: str, code: str, starts: Sequence[int], count: int, every_s: float) -> list[Envelope]:
    """Make events of one series, starting a minute and a second after `START`."""
    minute, second = starts
    start = START + timedelta(minutes=minute, seconds=second)
    return [
        event(event_type, start + timedelta(seconds=n * every_s), error_code=code, route="/r")
        for n in range(count)
    ]


_START = st.tuples(
    st.one_of(st.integers(0, 150), st.integers(YEAR_MINUTES, YEAR_MINUTES + 20)), st.integers(0, 59)
)
_SPIKE = st.builds(
    _run,
    st.just("error"),
    st.sampled_from(["A", "B"]),
    _START,
    st.sampled_from([1, 5, 29, 30, 31, 65, 320]),
    st.sampled_from([0.2, 1.0, 4.0, 11.0]),
)
_OUTAGE = st.builds(
    _run, st.just("error"), st.just("A"), _START, st.integers(100, 500), st.sampled_from([5.0, 8.0])
)
_SIGNUPS = st.builds(
    _run,
    st.just("signup"),
    st.just("-"),
    _START,
    st.sampled_from([1, 3, 10, 12, 158, 160, 200]),
    st.sampled_from([5.0, 18.0, 22.0, 70.0]),
)
_STREAM = st.lists(st.one_of(_SPIKE, _SIGNUPS, _OUTAGE), min_size=1, max_size=6).map(
    lambda runs: sorted((e for run in runs for e in run), key=lambda e: e.occurred_at)
)
_CUTS = st.lists(st.sampled_from([1, 2, 7, 40, 150, 600, 5_000]), min_size=1, max_size=5)


def _in_batches(stream: Sequence[Envelope], sizes: Sequence[int]) -> dict[str, NaiveIncident]:
    """Count a stream in batches of the given sizes, over and over."""
    detection, start, number = BatchDetection(), 0, 0
    while start < len(stream):
        size = sizes[number % len(sizes)]
        detection.count(stream[start : start + size])
        start, number = start + size, number + 1
    return detection.incidents


def _one_by_one(stream: Sequence[Envelope]) -> dict[str, NaiveIncident]:
    detection = NaiveDetection()
    detection.feed(stream)
    return detection.incidents


@settings(derandomize=True, deadline=None, max_examples=150)
@given(stream=_STREAM, sizes=_CUTS)
def test_any_batches_of_a_stream_find_what_single_events_find(
    stream: list[Envelope], sizes: list[int]
) -> None:
    assert _in_batches(stream, sizes) == _one_by_one(stream)


def _opened(stream: Sequence[Envelope]) -> dict[str, NaiveIncident]:
    """Return what both ways find, once they agree for every sort of batch."""
    expected = _one_by_one(stream)
    for size in (1, 3, 64, len(stream)):
        assert _in_batches(stream, [size]) == expected
    return expected


def test_an_outage_that_outlives_its_baseline_is_one_incident_both_ways() -> None:
    stream = _run("error", "A", (0, 0), 800, 7.5)
    (incident,) = _opened(stream).values()
    assert incident.last_seen_minute == minute_of(stream[-1].occurred_at)


def test_a_drop_is_found_when_the_signup_after_the_silence_brings_many() -> None:
    before = _run("signup", "-", (0, 0), 240, 15.0)
    stream = [*before, *_run("signup", "-", (76, 0), 30, 1.0)]
    (incident,) = _opened(stream).values()
    assert incident.opened_minute == minute_of(START) + 76


def test_a_drop_that_outlives_its_baseline_is_one_incident_both_ways() -> None:
    trickle = _run("signup", "-", (61, 0), 30, 300.0)
    (incident,) = _opened([*_run("signup", "-", (0, 0), 240, 15.0), *trickle]).values()
    assert incident.last_seen_minute == minute_of(trickle[-1].occurred_at)


def test_spikes_a_year_apart_are_one_incident_both_ways() -> None:
    stream = [*_run("error", "A", (0, 0), 40, 1.0), *_run("error", "A", (YEAR_MINUTES, 0), 90, 0.5)]
    (incident,) = _opened(stream).values()
    assert incident.last_seen_minute - incident.opened_minute == YEAR_MINUTES
    assert incident.severity == "error"
