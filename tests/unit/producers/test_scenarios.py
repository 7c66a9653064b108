"""Each mode opens exactly its incidents at every rate; the same seed makes the same events."""

import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from producers.plan import Planned
from producers.scenarios import Load, Mode, plan
from shared_types import Envelope, Tenancy, canonicalize, fingerprint
from tests.unit.fixtures.naive_rules import NaiveRules, minute_of

_START = datetime(2025, 12, 27, 10, 0, 7, tzinfo=UTC)
_EXPECTED = {
    Mode.NORMAL: set(),
    Mode.SPIKE_ERRORS: {("A", "UPSTREAM_TIMEOUT|/checkout|prod")},
    Mode.DROP_SIGNUPS: {("B", "signup|prod")},
    Mode.DEPLOY_THEN_SPIKE: {("A", "PRICE_MISSING|/cart|prod")},
}


def _load(*, rate: float, duration_s: float, seed: int = 7, start: datetime = _START) -> Load:
    return Load(start=start, duration_s=duration_s, rate=rate, seed=seed)


def _envelope(planned: Planned, load: Load) -> Envelope:
    return canonicalize(
        orjson.loads(planned.body),
        tenancy=Tenancy("org_1", "proj_1"),
        received_at=load.start + timedelta(seconds=max(0.0, planned.due_s)),
        event_id=uuid.UUID(int=0),
    )


def _envelopes(mode: Mode, load: Load) -> list[Envelope]:
    return [_envelope(planned, load) for planned in plan(mode, load)]


def _incidents(mode: Mode, load: Load) -> set[tuple[str, str]]:
    rules = NaiveRules()
    rules.feed(_envelopes(mode, load))
    # A tick each minute of the run and for half an hour after it, as the engine does.
    end = load.start + timedelta(seconds=load.duration_s)
    for minute in range(minute_of(load.start), minute_of(end) + 30):
        rules.tick(minute)
    return set(rules.fired)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("rate", "duration_s"), [(2, 600), (50, 20), (200, 60)])
@pytest.mark.parametrize("mode", list(Mode))
def test_mode_opens_exactly_its_incidents(mode: Mode, rate: float, duration_s: float, seed: int) -> None:
    assert _incidents(mode, _load(rate=rate, duration_s=duration_s, seed=seed)) == _EXPECTED[mode]


@pytest.mark.parametrize("mode", [Mode.NORMAL, Mode.SPIKE_ERRORS])
def test_two_hours_of_traffic_open_nothing_else(mode: Mode) -> None:
    assert _incidents(mode, _load(rate=1, duration_s=7200)) == _EXPECTED[mode]


def test_two_normal_runs_at_once_open_nothing() -> None:
    rules = NaiveRules()
    load = _load(rate=1, duration_s=5400)
    rules.feed(
        sorted(
            _envelopes(Mode.NORMAL, load) + _envelopes(Mode.NORMAL, _load(rate=1, duration_s=5400, seed=8)),
            key=lambda envelope: envelope.occurred_at,
        )
    )
    for minute in range(minute_of(_START) + 90, minute_of(_START) + 180):
        rules.tick(minute)
    assert rules.fired == {}


@pytest.mark.parametrize("mode", list(Mode))
def test_same_seed_and_start_make_the_same_events(mode: Mode) -> None:
    load = _load(rate=50, duration_s=10)
    assert list(plan(mode, load)) == list(plan(mode, load))
    assert list(plan(mode, load)) != list(plan(mode, _load(rate=50, duration_s=10, seed=8)))


def test_same_seed_at_another_start_makes_the_same_contents_with_other_ids() -> None:
    def contents(load: Load) -> list[dict[str, object]]:
        volatile = {"event_id", "occurred_at"}
        events = [orjson.loads(planned.body) for planned in plan(Mode.SPIKE_ERRORS, load)]
        return [{name: value for name, value in event.items() if name not in volatile} for event in events]

    one, other = (_load(rate=50, duration_s=10, start=_START + timedelta(minutes=m)) for m in (0, 1))
    assert contents(one) == contents(other)
    ids = {envelope.event_id for load in (one, other) for envelope in _envelopes(Mode.SPIKE_ERRORS, load)}
    assert len(ids) == 2 * 500


@pytest.mark.parametrize("mode", list(Mode))
def test_rate_is_exact_and_instants_ascend(mode: Mode) -> None:
    planned = list(plan(mode, _load(rate=40, duration_s=30)))
    assert sum(event.due_s >= 0 for event in planned) == 1200
    assert sorted(planned, key=lambda event: event.due_s) == planned


def test_short_run_reaches_its_spike_within_seconds() -> None:
    errors = [
        envelope.occurred_at
        for envelope in _envelopes(Mode.SPIKE_ERRORS, _load(rate=50, duration_s=20))
        if fingerprint(envelope) == "UPSTREAM_TIMEOUT|/checkout|prod"
    ]
    assert errors[29] - _START < timedelta(seconds=6)


def test_spike_after_a_deploy_carries_the_new_release() -> None:
    envelopes = _envelopes(Mode.DEPLOY_THEN_SPIKE, _load(rate=50, duration_s=60))
    deploys = [envelope for envelope in envelopes if envelope.event_type == "deploy"]
    assert [deploy.attributes.release for deploy in deploys] == ["2025.12.27.1"]
    spike = [envelope for envelope in envelopes if envelope.attributes.error_code == "PRICE_MISSING"]
    assert {envelope.attributes.release for envelope in spike} == {"2025.12.27.1"}
    assert deploys[0].occurred_at < min(envelope.occurred_at for envelope in spike)


def test_signups_stop_a_quarter_of_an_hour_before_the_run() -> None:
    envelopes = _envelopes(Mode.DROP_SIGNUPS, _load(rate=50, duration_s=60))
    instants = [envelope.occurred_at for envelope in envelopes if envelope.event_type == "signup"]
    assert instants[0] < _START - timedelta(minutes=90)
    assert _START - timedelta(minutes=17) < instants[-1] <= _START - timedelta(minutes=15)


def test_traffic_is_varied() -> None:
    envelopes = _envelopes(Mode.NORMAL, _load(rate=100, duration_s=120))
    assert len({envelope.attributes.route for envelope in envelopes}) >= 9
    assert len({envelope.attributes.release for envelope in envelopes}) >= 3
    assert len(Counter(envelope.environment for envelope in envelopes)) == 3
    assert len(Counter(envelope.event_type for envelope in envelopes)) == 5
