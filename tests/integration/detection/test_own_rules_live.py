"""Rules that people wrote, judged on PostgreSQL, open the incidents that the replay of their counts opens."""

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import minute_of
from signals.domain.detection.calendar import UTC_CLOCK
from signals.domain.detection.own_rules import OwnRule
from signals.domain.detection.rule_text import parse_rules
from signals.domain.detection.rule_types import Rule
from signals.services.access.provisioning import create_org, create_project
from signals.services.detection.count_lines import CountedSeries
from signals.services.detection.replay import ReplayedSeries
from tests.support.own_rules import Attributes, KilledEngine, OwnEngine, write_rules

START: Final = 29_540_160  # a Monday, 00:00 UTC
DAY: Final = 1440
RULES: Final = parse_rules(
    [
        {
            "name": "by-route",
            "kind": "floor_ratio",
            "on": {"event_type": "error"},
            "per": ["route"],
            "window": 10,
            "floor": 20,
            "ratio": 2,
        },
        {
            "name": "same-series",
            "kind": "floor_ratio",
            "on": {"event_type": "error"},
            "per": "fingerprint",
            "floor": 12,
            "hold": {"fires": 2, "of": 3},
        },
        {
            "name": "fewer",
            "kind": "drop",
            "on": {"event_type": "signup"},
            "per": [],
            "ceiling": 5,
            "baseline": {"length": 60, "minimum": 20},
        },
        {
            "name": "share",
            "kind": "rate",
            "on": {"event_type": "error", "route": "/pay"},
            "of": {"event_type": "http_request", "route": "/pay"},
            "per": ["environment"],
            "window": 15,
            "limit": 0.1,
            "floor": 50,
        },
        {
            "name": "beat",
            "kind": "absence",
            "on": {"event_type": "custom", "error_code": "BEAT"},
            "per": ["environment"],
            "after": 20,
        },
        {
            "name": "fresh",
            "kind": "new_series",
            "on": {"event_type": "custom"},
            "per": ["release"],
            "window": 15,
            "floor": 5,
        },
        {
            "name": "unusual",
            "kind": "seasonal",
            "on": {"event_type": "http_request"},
            "per": ["route"],
            "direction": "down",
            "guard": 0,
            "windows": [{"length": 15, "floor": 8, "ratio": 0.5, "significance": 2}],
        },
        {
            "name": "unusual-errors",
            "kind": "seasonal",
            "on": {"event_type": "error"},
            "per": "fingerprint",
            "windows": [{"length": 15, "floor": 15, "ratio": 2}],
        },
    ]
)

Counts = dict[Attributes, list[int]]
Incident = tuple[str, int, int | None, str, str, int]
"""Fingerprint, opened and ended minute, rule, verdict, how often reopened."""


def _events(**attributes: str) -> Attributes:
    return tuple(attributes.items())


def _world(seed: int, minutes: int) -> Counts:
    """Draw counts of events of every rule, with an outage of each sort, and one series that begins late."""
    rng = random.Random(seed)
    at = rng.randrange(int(0.7 * minutes), int(0.8 * minutes))
    out = range(at, at + 40)

    def drawn(usual: float, then: float, *, since: int = 0) -> list[int]:
        rates = (0.0 if m < since else then if m in out else usual for m in range(minutes))
        return [sum(rng.random() < rate / 20 for _ in range(20)) for rate in rates]

    def error(code: str, route: str) -> Attributes:
        return _events(event_type="error", error_code=code, route=route, environment="prod")

    def request(route: str) -> Attributes:
        return _events(event_type="http_request", route=route, environment="prod")

    beat = [int(m % 5 == 0 and m not in out) for m in range(minutes)]
    custom = {"event_type": "custom", "environment": "prod"}
    return {
        error("TIMEOUT", "/pay"): drawn(0.2, 6),
        error("REFUSED", "/pay"): drawn(0.1, 4),
        error("TIMEOUT", "/cart"): drawn(0.5, 0.5),
        request("/pay"): drawn(10, 9),
        request("/cart"): drawn(8, 0),
        _events(event_type="signup", environment="prod"): drawn(2, 0.1),
        _events(event_type="signup", environment="dev"): drawn(1, 0),
        _events(**custom, error_code="BEAT"): beat,
        _events(**custom, release="1.0"): drawn(0.3, 0.3),
        _events(**custom, release="2.0"): drawn(3, 3, since=at + 60),
    }


def _replayed(counts: Counts, end: int) -> list[Incident]:
    replayed = ReplayedSeries(RULES)
    first = end
    for attributes, minutes in counts.items():
        rows = [(START + minute, count) for minute, count in enumerate(minutes) if count]
        replayed.add(CountedSeries(str(attributes), attributes), rows)
        first = min(first, rows[0][0])
    by_name = {rule.name: OwnRule(rule, 1) for rule in RULES}
    found = []
    for series, episodes in replayed.episodes(first, end, UTC_CLOCK):
        for one in episodes:
            own = by_name[one.rule]
            values = {str(name): series.attributes.get(name) for name in own.rule.per}
            name = own.series("org_1", "proj_1", values).fingerprint
            found.append((name, one.opened_at, one.resolved_at, one.rule, one.verdict, one.reopened))
    return sorted(found, key=str)


def _partition(attributes: Attributes) -> int:
    return len(str(attributes)) % 2


def _live(
    pool: ConnectionPool[Connection], rng: random.Random, counts: Counts, minutes: int
) -> list[Incident]:
    engines = [OwnEngine(pool, 0), OwnEngine(pool, 1)]
    left = {attributes: list(one) for attributes, one in counts.items()}
    start = 0
    while start < minutes:
        end = min(minutes, start + rng.choice((1, 2, 7, 45, 90)))
        for number in rng.sample((0, 1), 2):  # one partition lags behind the other
            mine = [attributes for attributes in left if _partition(attributes) == number]
            for is_last in (False, True):  # cut within minutes
                part = {}
                for attributes in mine:
                    for minute in range(start, end):
                        rest = left[attributes][minute]
                        count = rest if is_last else rng.randrange(rest + 1)
                        left[attributes][minute] -= count
                        part[attributes, START + minute] = count
                if rng.random() < 0.1:
                    with suppress(KilledEngine):
                        engines[number].count(part, is_killed=True)
                engines[number].count(part)
        for engine in engines:
            if rng.random() < 0.1:
                with suppress(KilledEngine):
                    engine.tick(START + end - 1, is_killed=True)
            engine.tick(START + end - 1)
        start = end
    with transaction(pool) as connection:
        rows: Sequence[tuple[object, ...]] = connection.execute(
            "SELECT i.fingerprint, i.opened_at, s.ended_at, s.rule, s.verdict, s.reopened, i.status"
            " FROM incidents i JOIN pipeline.incident_states s ON s.incident_id = i.id"
        ).fetchall()
    assert all((status == "resolved") == (ended is not None) for *_, ended, _, _, _, status in rows)
    return sorted(
        (
            (name, minute_of(opened), minute_of(ended) if ended else None, rule, verdict, reopened)  # type: ignore[arg-type,misc]
            for name, opened, ended, rule, verdict, reopened, _ in rows
        ),
        key=str,
    )


def _store(pool: ConnectionPool[Connection], written: Sequence[Rule] = RULES) -> None:
    create_org(pool, "org_1", "An organisation")
    create_project(pool, "proj_1", org_id="org_1", name="A project")
    write_rules(pool, written, at=START)


@pytest.mark.parametrize("seed", [1, 2])
def test_live_rules_of_every_kind_open_what_the_replay_opens(
    pool: ConnectionPool[Connection], seed: int
) -> None:
    _store(pool)
    minutes = int(2.5 * DAY)
    counts = _world(seed, minutes)
    expected = _replayed(counts, START + minutes)
    assert {incident[3] for incident in expected} == {rule.name for rule in RULES}
    assert _live(pool, random.Random(seed), counts, minutes) == expected
