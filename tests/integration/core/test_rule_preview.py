"""A draft is previewed on stored counts: the incidents are those of a replay of the same counts."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from shared_types import Environment, EventType, Fingerprint, Tenancy
from signals.clients.postgres import Connection
from signals.domain.detection.buckets import Series, instant_of, minute_of
from signals.domain.detection.calendar import UTC_CLOCK
from signals.domain.detection.rule_text import parse_rule
from signals.services.detection.count_lines import CountedSeries, CountLine
from signals.services.detection.replay import replay_counts
from signals.store.detection import buckets
from tests.integration.core.conftest import OTHER
from tests.support.events import TENANCY

END = datetime(2026, 3, 16, 9, 0, tzinfo=UTC)
LAST = minute_of(END)
DAYS = 14
SPIKE: dict[str, Any] = {
    "name": "mine",
    "kind": "floor_ratio",
    "on": {"event_type": "error"},
    "floor": 8,
    "ratio": 2,
}
DRAFTS = (
    SPIKE,
    SPIKE
    | {"per": ["route"], "on": {"event_type": "error", "environment": "prod"}, "hold": {"fires": 2, "of": 3}},
    SPIKE | {"per": [], "max_series": 1},
    {"name": "quiet", "kind": "absence", "on": {"event_type": "error"}, "after": "6h"},
    {"name": "first", "kind": "new_series", "on": {"event_type": "error"}, "floor": 3},
    {"name": "less", "kind": "drop", "on": {"event_type": "error"}, "ceiling": 1, "baseline": {"minimum": 4}},
    {
        "name": "share",
        "kind": "rate",
        "on": {"event_type": "error", "route": "/a"},
        "of": {"event_type": "error"},
        "per": ["environment"],
        "limit": "40%",
        "floor": 20,
    },
    {
        "name": "usual",
        "kind": "seasonal",
        "on": {"event_type": "error"},
        "windows": [{"length": 5, "floor": 10, "ratio": 3}],
    },
)


def fingerprint(number: int) -> Fingerprint:
    return Fingerprint(
        event_type=EventType.ERROR,
        environment=Environment.PROD if number % 3 else Environment.STAGING,
        error_code=f"E{number}",
        route=("/a", "/b")[number % 2],
    )


def counted(number: int, seed: int) -> dict[int, int]:
    """Draw minutes with events: a level that changes by hours, bursts, and silence."""
    rng = random.Random(seed)
    counts: dict[int, int] = {}
    minute = LAST - DAYS * 1440 + rng.randrange(3000)
    while minute < LAST:
        mean, length = rng.choice([0, 0.05, 0.4, 0.4, 6]), rng.choice([5, 60, 700, 2000])
        for at in range(minute, min(LAST, minute + length)):
            if mean and (count := int(rng.expovariate(1 / mean) + 0.2)):
                counts[at] = count
        minute += length * (number + 1)
    return counts


def store(
    pool: ConnectionPool[Connection],
    counts: Mapping[Fingerprint, Mapping[int, int]],
    tenancy: Tenancy = TENANCY,
) -> None:
    with pool.connection() as connection:
        for one, minutes in counts.items():
            series = Series(
                tenancy.project_id, one.environment.value, one.metric_name, one.text, tenancy.org_id
            )
            buckets.increment(connection, {(series, minute): count for minute, count in minutes.items()})


def preview(reader: TestClient, rule: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    answer = reader.post("/v1/rules/preview", json={"rule": rule, "until": END.isoformat(), **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def replayed(
    rule: Mapping[str, Any], counts: Mapping[Fingerprint, Mapping[int, int]]
) -> Sequence[tuple[Any, ...]]:
    lines = [
        CountLine(minute, _named(one), count)
        for one, minutes in counts.items()
        for minute, count in minutes.items()
    ]
    lines.sort(key=lambda line: line.minute)
    end = CountLine(LAST - 1, CountedSeries("end", (("event_type", "deploy"),)), 0)  # the fortnight ends here
    outages = replay_counts([*lines, end], (parse_rule(rule),), UTC_CLOCK)
    return sorted(
        (
            instant_of(one.episode.opened_at),
            None if one.episode.resolved_at is None else instant_of(one.episode.resolved_at),
            dict(one.attributes),
            one.episode.reason,
            (one.episode.confirmed_by or one.episode.opened).count,
        )
        for outage in outages
        for one in outage.incidents
    )


def _named(one: Fingerprint) -> CountedSeries:
    given = {"error_code": one.error_code, "route": one.route, "environment": one.environment.value}
    return CountedSeries(
        one.text, (("event_type", "error"), *((k, v) for k, v in given.items() if v is not None))
    )


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _incidents(found: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return sorted(
        (
            _instant(one["opened_at"]),
            _instant(one["resolved_at"]),
            one["series"],
            one["resolved_because"],
            one["count"],
        )
        for one in found["incidents"]
    )


def test_preview_equals_the_replay_of_the_same_counts(
    reader: TestClient, pool: ConnectionPool[Connection]
) -> None:
    counts = {fingerprint(number): counted(number, 70 + number) for number in range(4)}
    store(pool, counts)
    store(pool, {fingerprint(1): {LAST - 60 - at: 500 for at in range(30)}}, OTHER)
    opened = 0
    for rule in DRAFTS:
        found = preview(reader, rule)
        expected = replayed(rule, counts)
        assert found["total"] == len(expected)
        assert found["missing"] == [] or "counts begin" in found["missing"][0]
        if found["total"] <= 500:
            assert sorted(_incidents(found), key=repr) == sorted(expected, key=repr), rule["name"]
        opened += found["total"]
    assert opened > 50


def test_preview_of_one_series_reads_that_one(reader: TestClient, pool: ConnectionPool[Connection]) -> None:
    counts = {fingerprint(number): {LAST - 100: 40} for number in (1, 5)}
    store(pool, counts)
    one = fingerprint(1)
    series = {"environment": one.environment.value, "error_code": one.error_code, "route": one.route}
    found = preview(reader, SPIKE, series=series)
    assert (found["series"], found["series_left_out"], found["total"]) == (1, 0, 1)
    [incident] = found["incidents"]
    assert incident["series"] == series
    assert (incident["count"], incident["minutes"], incident["usual"]) == (40, 5, None)
    assert incident["opened_at"] == (END - timedelta(minutes=100)).isoformat().replace("+00:00", "Z")
    assert incident["conditions"][0] == {"name": "events", "have": 40, "compared": "at least", "need": 8}
    assert preview(reader, SPIKE, series={"route": "/b"})["series"] == 2
    assert (
        preview(reader, SPIKE, series={"environment": "prod", "error_code": "x", "route": "y"})["series"] == 0
    )


def test_missing_data_is_said(reader: TestClient, pool: ConnectionPool[Connection]) -> None:
    assert preview(reader, SPIKE)["missing"] == ["no event of these series was counted in the last 14 days"]
    store(pool, {fingerprint(1): {LAST - 100: 4}})
    found = preview(reader, SPIKE)
    assert found["missing"] == [f"counts begin at {found['counted_since']}, not 14 days ago"]
    slow = {"name": "slow", "kind": "absence", "on": {"event_type": "http_request", "method": "GET"}}
    assert preview(reader, slow)["missing"] == [
        "on: http_request events have no stored counts; only errors and signups have",
        "on.method: stored counts do not know it",
    ]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"rule": SPIKE | {"window": 99}}, 422, "whole number from 1 up to 60"),
        ({"rule": []}, 400, "rule: "),
        ({"rule": SPIKE, "series": {"colour": "red"}}, 400, "series.colour"),
        ({"rule": SPIKE, "series": {"route": "\x00"}}, 400, "series.route"),
        ({"rule": SPIKE, "until": "2026-03-01T00:00:00"}, 400, "until"),
        ({"rule": SPIKE, "until": "0001-01-01T00:00:00Z"}, 400, "until"),
    ],
)
def test_bad_preview_names_its_field(
    reader: TestClient, body: dict[str, Any], status: int, says: str
) -> None:
    answer = reader.post("/v1/rules/preview", json=body)
    assert answer.status_code == status
    assert says in answer.json()["detail"]
