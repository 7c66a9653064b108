"""A rule that is created amid a stream of events reports nothing as news that was there before it."""

from typing import Final

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import minute_of
from signals.domain.detection.calendar import UTC_CLOCK
from signals.domain.detection.rule_text import parse_rules
from signals.domain.detection.rule_types import Rule
from signals.services.access.provisioning import create_org, create_project
from signals.services.detection.count_lines import CountedSeries
from signals.services.detection.replay import ReplayedSeries
from tests.support.own_rules import Attributes, OwnEngine, write_rules

START: Final = 29_540_160  # a Monday, 00:00 UTC
CREATED: Final = START + 180
LEARNED: Final = CREATED + 65
SURGE: Final = CREATED + 120  # minutes; it lasts for five
END: Final = SURGE + 30
ON: Final = {"event_type": "feedback"}
RULES: Final = parse_rules(
    [
        {"name": "more", "kind": "floor_ratio", "on": ON, "per": ["route"], "floor": 10},
        {"name": "fresh", "kind": "new_series", "on": ON, "per": ["route"], "floor": 10},
        {
            "name": "same-errors",
            "kind": "floor_ratio",
            "on": {"event_type": "error"},
            "per": "fingerprint",
            "floor": 10,
        },
        {
            "name": "share",
            "kind": "rate",
            "on": {"event_type": "feedback", "error_code": "SLOW"},
            "of": ON,
            "per": [],
            "floor": 20,
        },
        {"name": "beat", "kind": "absence", "on": {"event_type": "custom"}, "per": [], "after": 10},
    ]
)
Incident = tuple[str, int, str]
"""Rule, minute of opening after the beginning, verdict."""


def _counts(minute: int) -> dict[Attributes, int]:
    """Return the events of one minute: steady ones, a surge, and two routes that begin late."""

    def feedback(route: str, *more: tuple[str, str]) -> Attributes:
        return (("event_type", "feedback"), ("environment", "prod"), ("route", route), *more)

    is_surge = SURGE <= minute < SURGE + 5
    error = (("event_type", "error"), ("environment", "prod"), ("error_code", "OLD"), ("route", "/a"))
    found: dict[Attributes, int] = {
        feedback("/survey"): 120 if is_surge else 24,
        feedback("/survey", ("error_code", "SLOW")): 6,  # a fifth of all
        error: 24,
    }
    if minute >= LEARNED - 20:
        found[feedback("/early")] = 12
    if minute >= SURGE:
        found[feedback("/late")] = 12
    if minute < CREATED + 5:
        found[("event_type", "custom"), ("environment", "prod")] = 1
    return found


def _live(pool: ConnectionPool[Connection], written: tuple[Rule, ...]) -> list[Incident]:
    create_org(pool, "org_1", "An organisation")
    create_project(pool, "proj_1", org_id="org_1", name="A project")
    engine = OwnEngine(pool)
    for minute in range(START, END):
        if minute == CREATED:
            write_rules(pool, written, at=CREATED)
        engine.count({(attributes, minute): count for attributes, count in _counts(minute).items()})
        engine.tick(minute)
    with transaction(pool) as connection:
        rows = connection.execute(
            "SELECT s.rule, i.opened_at, s.verdict FROM incidents i"
            " JOIN pipeline.incident_states s ON s.incident_id = i.id"
        ).fetchall()
    return sorted((rule, minute_of(opened) - START, verdict) for rule, opened, verdict in rows)


def _replayed(rule: Rule, since: int) -> list[Incident]:
    replayed = ReplayedSeries((rule,))
    for minute in range(since, END):
        for attributes, count in _counts(minute).items():
            replayed.add(CountedSeries(str(attributes), attributes), ((minute, count),))
    return [
        (episode.rule, episode.opened_at - START, episode.verdict)
        for _, episodes in replayed.episodes(since, END, UTC_CLOCK)
        for episode in episodes
    ]


def test_rules_created_amid_a_stream_confirm_only_what_is_new(pool: ConnectionPool[Connection]) -> None:
    """And they open what a replay opens. A rule that shares the counters of errors knows their past."""
    live = _live(pool, RULES)
    assert {(rule, minute + START) for rule, minute, verdict in live if verdict == "learning"} == {
        ("more", CREATED),
        ("fresh", CREATED),
        ("more", LEARNED - 20),
        ("fresh", LEARNED - 20),
    }
    assert {(rule, minute + START) for rule, minute, verdict in live if verdict == "confirmed"} == {
        ("more", LEARNED),  # of the route that began after the rule, and still is unusual
        ("more", SURGE),  # of the route that begins with it
        ("more", SURGE + 3),
        ("fresh", SURGE),
        ("beat", CREATED + 14),  # needs no history
        ("share", CREATED),
    }
    expected = [
        one
        for rule in RULES
        for one in _replayed(rule, START if rule.name == "same-errors" else CREATED)
        if rule.name != "same-errors" or one[1] >= CREATED - START
    ]
    assert live == sorted(expected)
