"""One outage is one thing to people: live grouping, division at minutes 5 and 10, returns and regressions."""

import random
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.domain.detection.buckets import minute_of
from signals.domain.incidents.outages import Member, group
from signals.domain.incidents.placing import attributes_of
from tests.integration.incidents.shop import Shop, at

ROUTES: Final = tuple(f"/r{number}" for number in range(10))
DB_DOWN: Final = tuple(f"DB_DOWN|{route}|prod" for route in ROUTES)
OTHERS: Final = tuple(f"{code}|{route}|prod" for code in ("TIMEOUT", "NULL_REF") for route in ROUTES)


@pytest.fixture
def shop(pool: ConnectionPool[Connection]) -> Shop:
    """A shop of thirty series."""
    shop = Shop(pool)
    shop.round()  # nothing of an earlier release is there
    shop.has_series([*DB_DOWN, *OTHERS])
    return shop


def test_one_outage_over_ten_routes_is_one_from_the_first_minute_to_the_last(shop: Shop) -> None:
    for number, series in enumerate(DB_DOWN):
        shop.opens(series, minute=number * 0.4)
        assert len(shop.outages()) == 1
    [begun] = shop.outages()
    assert (begun["cause_attribute"], begun["is_settled"], begun["verdict"]) == (None, False, "confirmed")
    shop.pass_minutes(5)
    assert shop.causes() == [("error_code=DB_DOWN", 10)]
    shop.pass_minutes(6)
    [settled] = shop.outages()
    assert (settled["id"], settled["is_settled"], len(settled["series"])) == (begun["id"], True, 10)


def test_two_unrelated_outages_of_one_minute_become_two(shop: Shop) -> None:
    shop.opens("DB_DOWN|/r0|prod", "TIMEOUT|/r1|prod")
    assert len(shop.outages()) == 1  # one message, until the cause is decided
    shop.pass_minutes(5)
    assert shop.causes() == [("alone", 1), ("alone", 1)]
    shop.pass_minutes(6)
    assert shop.causes() == [("alone", 1), ("alone", 1)]


def test_outages_of_two_routes_at_once_stay_two(shop: Shop) -> None:
    shop.opens(
        *(f"{code}|{route}|prod" for code in ("DB_DOWN", "TIMEOUT", "NULL_REF") for route in ROUTES[:2])
    )
    shop.pass_minutes(11)
    assert sorted(shop.causes()) == [("route=/r0", 3), ("route=/r1", 3)]


def test_late_series_of_the_same_cause_joins_within_half_an_hour(shop: Shop) -> None:
    shop.opens(*DB_DOWN[:8])
    shop.pass_minutes(11)
    shop.opens(DB_DOWN[8], minute=29)
    assert shop.causes() == [("error_code=DB_DOWN", 9)]
    shop.opens(DB_DOWN[9], minute=60)
    assert [members for _, members in shop.causes()] == [9, 1]


def test_unrelated_incident_after_the_division_is_an_outage_of_its_own(shop: Shop) -> None:
    shop.opens(*DB_DOWN[:8])
    shop.pass_minutes(5)
    shop.opens("TIMEOUT|/r1|prod", minute=6)
    shop.opens(DB_DOWN[8], minute=7)
    assert shop.causes() == [("error_code=DB_DOWN", 9), ("alone", 1)]
    shop.pass_minutes(6)
    assert shop.causes() == [("error_code=DB_DOWN", 9), ("alone", 1)]


def test_outages_that_prove_to_be_one_are_merged_until_minute_ten(
    shop: Shop, pool: ConnectionPool[Connection]
) -> None:
    shop.opens("DB_DOWN|/r0|prod", "TIMEOUT|/r1|prod")
    shop.pass_minutes(5)
    first, second = shop.outages()
    shop.opens("DB_DOWN|/r1|prod", "NULL_REF|/r1|prod", "TIMEOUT|/r0|prod", "NULL_REF|/r0|prod", minute=7)
    shop.opens(*DB_DOWN[2:], *OTHERS[2:9], minute=8)
    assert len(shop.outages()) > 2
    shop.pass_minutes(6)
    [whole] = shop.outages()
    assert (whole["id"], whole["cause_attribute"]) == (first["id"], "project")
    with pool.connection() as connection:
        merged = connection.execute(
            "SELECT merged_into FROM pipeline.outages WHERE id = %s", [second["id"]]
        ).fetchone()
    assert merged == (whole["id"],)


def test_nothing_moves_after_minute_ten(shop: Shop) -> None:
    shop.opens("DB_DOWN|/r0|prod", "TIMEOUT|/r1|prod")
    shop.pass_minutes(11)
    before = shop.outages()
    shop.opens(*DB_DOWN[1:], minute=11)
    shop.pass_minutes(60)
    assert [one["series"] for one in shop.outages()][:2] == [one["series"] for one in before]
    assert len(shop.outages()) == 3


def test_incident_that_a_new_grouping_names_anew_joins_the_open_outage(shop: Shop) -> None:
    shop.opens("DB_DOWN|/Orders(123)|prod", "DB_DOWN|/Orders(124)|prod", "DB_DOWN|/s3|prod", grouping=2)
    shop.pass_minutes(11)
    shop.opens("TIMEOUT|/login|prod", minute=90)
    shop.opens("DB_DOWN|/Orders({id})|prod", minute=90)
    assert [one["series"] for one in shop.outages()] == [
        [
            "DB_DOWN|/Orders(123)|prod",
            "DB_DOWN|/Orders(124)|prod",
            "DB_DOWN|/s3|prod",
            "DB_DOWN|/Orders({id})|prod",
        ],
        ["TIMEOUT|/login|prod"],
    ]


def test_return_soon_after_a_person_resolved_reopens_the_outage(shop: Shop) -> None:
    [incident] = shop.opens(DB_DOWN[0])
    shop.pass_minutes(11)
    shop.ends(incident, reason="by_hand")
    assert [(one["status"], one["resolve_reason"]) for one in shop.outages()] == [("resolved", "by_hand")]
    shop.opens(DB_DOWN[0], minute=14)
    [outage] = shop.outages()
    assert (outage["status"], outage["reopened"], len(outage["series"])) == ("open", 1, 2)


def test_return_long_after_a_person_resolved_is_a_regression(shop: Shop) -> None:
    [incident] = shop.opens(DB_DOWN[0])
    shop.pass_minutes(11)
    shop.ends(incident, reason="by_hand")
    shop.pass_minutes(6)
    shop.opens(DB_DOWN[0], minute=20)
    former, again = shop.outages()
    assert (former["status"], former["reopened"]) == ("resolved", 0)
    assert (again["status"], again["regression_of"]) == ("open", former["id"])


@pytest.mark.parametrize(("minute", "returns"), [(119, True), (121, False)])
def test_return_within_an_hour_of_the_end_reopens(shop: Shop, minute: int, returns: bool) -> None:
    [incident] = shop.opens(DB_DOWN[0])  # last seen at 0, idle at 60
    shop.pass_minutes(11)
    shop.ends(incident)
    shop.opens(DB_DOWN[0], minute=minute)
    outages = shop.outages()
    assert [one["reopened"] for one in outages] == ([1] if returns else [0, 0])
    assert returns or outages[1]["regression_of"] == outages[0]["id"]


def test_confirmed_incident_never_hides_in_a_former_unconfirmed_outage(shop: Shop) -> None:
    [incident] = shop.opens(DB_DOWN[0], verdict="unconfirmed")
    shop.pass_minutes(11)
    shop.ends(incident)
    shop.opens(DB_DOWN[0], minute=90, verdict="confirmed")
    former, again = shop.outages()
    assert (former["verdict"], again["verdict"]) == ("unconfirmed", "confirmed")
    assert again["regression_of"] is None  # people were never notified about the former one


def test_superseding_incident_is_another_outage(shop: Shop) -> None:
    [incident] = shop.opens(DB_DOWN[0], verdict="unconfirmed")
    shop.pass_minutes(11)
    shop.ends(incident, reason="superseded")
    shop.opens(DB_DOWN[0], minute=25)
    assert [one["verdict"] for one in shop.outages()] == ["unconfirmed", "confirmed"]


def test_outage_lasts_until_its_last_incident_ends(shop: Shop) -> None:
    incidents = shop.opens(*DB_DOWN[:8])
    shop.pass_minutes(11)
    shop.ends(*incidents[:7])
    assert [one["status"] for one in shop.outages()] == ["open"]
    shop.ends(incidents[7])
    [outage] = shop.outages()
    assert (outage["status"], outage["reopened"], outage["resolve_reason"]) == ("resolved", 0, "quiet")
    shop.opens(DB_DOWN[3], minute=30)
    assert [(one["status"], one["reopened"]) for one in shop.outages()] == [("open", 1)]


def test_outage_is_as_severe_and_as_confirmed_as_its_worst_incident(
    shop: Shop, pool: ConnectionPool[Connection]
) -> None:
    first, second = shop.opens(*DB_DOWN[:2], verdict="learning")
    assert [(one["verdict"], one["severity"]) for one in shop.outages()] == [("learning", "error")]
    with pool.connection() as connection:
        connection.execute("UPDATE incidents SET severity = 'critical' WHERE id = %s", [first])
        connection.execute(
            """UPDATE pipeline.incident_states SET verdict = 'confirmed', confirmed_at = %s
               WHERE incident_id = %s""",
            [at(4), second],
        )
    shop.round()
    [outage] = shop.outages()
    assert (outage["verdict"], outage["severity"], outage["confirmed_at"]) == ("confirmed", "critical", at(4))


def test_old_incident_that_arrives_late_joins_what_was_open_then(shop: Shop) -> None:
    shop.opens(*DB_DOWN[:4], minute=3)
    shop.opens(DB_DOWN[4], minute=0)  # another partition was behind
    shop.opens("TIMEOUT|/r1|prod", minute=-400)
    assert [len(one["series"]) for one in shop.outages()] == [1, 5]


@pytest.mark.parametrize("seed", range(6))
def test_live_grouping_equals_the_replay(shop: Shop, seed: int) -> None:
    """Incidents in order, with windows settled in time, are grouped as `signals rules replay` groups them."""
    chance = random.Random(seed)
    names = chance.sample([*DB_DOWN, *OTHERS], 12)
    opened = sorted((chance.randrange(0, 70), name) for name in names)
    clock = 0
    for minute, name in opened:
        while clock < minute:
            clock += 1
            shop.pass_minutes(1)
        shop.opens(name, minute=minute)
    shop.pass_minutes(30)
    active = {name: attributes_of(name) for name in (*DB_DOWN, *OTHERS)}

    def known(_minute: int) -> Mapping[str, Mapping[str, str]]:
        return active

    members = [
        Member(number=number, series=name, attributes=active[name], opened_at=minute_of(at(minute)))
        for number, (minute, name) in enumerate(opened)
    ]
    replayed = sorted(sorted(member.series for member in one.members) for one in group(members, known))
    assert sorted(sorted(one["series"]) for one in shop.outages()) == replayed


def test_engines_that_open_at_once_begin_one_outage(shop: Shop) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(shop.opens, DB_DOWN))
    assert [len(one["series"]) for one in shop.outages()] == [10]
