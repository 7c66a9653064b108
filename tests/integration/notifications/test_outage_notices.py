"""An outage is one message at each destination, whose members may move until its cause is decided."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from signals.domain.notifications.telling import EDIT_PACE
from signals.services.incidents.outage_work import OutageWork
from tests.integration.incidents.shop import Shop
from tests.integration.notifications.conftest import World
from tests.support.events import TENANCY
from tests.support.receivers import HttpReceiver, mail_receiver

ROUTES = tuple(f"/r{number}" for number in range(10))
DB_DOWN = tuple(f"DB_DOWN|{route}|prod" for route in ROUTES)
OTHERS = tuple(f"{code}|{route}|prod" for code in ("TIMEOUT", "NULL_REF") for route in ROUTES)
MEMBERS = """
SELECT count(*), count(DISTINCT (destination_id, subject_id)) FROM pipeline.notice_subjects
"""
EMPTY = """
SELECT count(*) FROM pipeline.notices n
WHERE NOT EXISTS (SELECT FROM pipeline.notice_subjects s WHERE s.notice_id = n.id)
"""


@pytest.fixture
def shop(world: World) -> Shop:
    """A shop of thirty series in the world's project."""
    noon = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    shop = Shop(world.pool, noon=noon)  # what was over for hours rings nowhere
    shop.round()  # nothing of an earlier release is there
    shop.has_series([*DB_DOWN, *OTHERS])
    return shop


def slack_calls(receiver: HttpReceiver) -> list[str]:
    """Return what reached Slack: `post`, `edit`, `reply`."""
    words = []
    for got in receiver.accepted:
        is_reply = "thread_ts" in got.json
        words.append("edit" if got.path.endswith("update") else "reply" if is_reply else "post")
    return words


def hurry(world: World) -> None:
    """Let no message wait for its pace."""
    with world.pool.connection() as connection:
        connection.execute("UPDATE pipeline.notices SET not_before = now(), run_after = now()")
    world.run()


def test_ten_incidents_of_one_outage_are_one_message_that_rings_once(
    world: World, shop: Shop, receiver: HttpReceiver
) -> None:
    world.slack(receiver)
    incidents = shop.opens(DB_DOWN[0])
    world.run()
    for number, series in enumerate(DB_DOWN[1:]):
        incidents += shop.opens(series, minute=number * 0.4)
        hurry(world)
    shop.pass_minutes(5)
    hurry(world)
    assert Counter(slack_calls(receiver)) == {"post": 1, "edit": 10}
    assert "Error code DB_DOWN: 10 series" in receiver.accepted[-1].json["text"]
    shop.ends(*incidents[:9])
    hurry(world)
    assert "reply" not in slack_calls(receiver)
    shop.ends(incidents[9])
    hurry(world)
    assert slack_calls(receiver)[-2:] == ["edit", "reply"]
    assert "resolved: was open" in receiver.accepted[-1].json["text"]
    assert world.rows(MEMBERS) == [(10, 10)]


def test_worse_incident_of_an_outage_rings_in_its_thread(
    world: World, shop: Shop, receiver: HttpReceiver, other: HttpReceiver
) -> None:
    world.slack(receiver)
    world.pagerduty(other)
    _, second = shop.opens(*DB_DOWN[:2])
    world.run()
    world.set(second, severity="critical")
    hurry(world)
    world.set(second, status="resolved")
    hurry(world)
    assert slack_calls(receiver) == ["post", "edit", "reply", "edit"]
    assert [got.json["payload"]["severity"] for got in other.accepted] == ["error", "critical", "error"]
    assert len({got.json["dedup_key"] for got in other.accepted}) == 1


def test_unrelated_outage_rings_as_its_own_when_the_cause_is_decided(
    world: World, shop: Shop, receiver: HttpReceiver, other: HttpReceiver
) -> None:
    world.slack(receiver)
    world.webhook(other)
    first, second = shop.opens("DB_DOWN|/r0|prod", "TIMEOUT|/r1|prod")
    world.run()
    assert slack_calls(receiver) == ["post"]
    shop.pass_minutes(5)
    hurry(world)
    assert sorted(slack_calls(receiver)) == ["edit", "post", "post"]
    assert world.rows("SELECT count(*) FROM pipeline.notice_outages") == [(4,)]
    shop.ends(first, second)
    hurry(world)
    assert slack_calls(receiver).count("reply") == 2
    told = Counter((got.json["data"]["outage_id"], got.json["data"]["status"]) for got in other.accepted)
    assert {outage for outage, status in told if status == "resolved"} == {
        str(outage["id"]) for outage in shop.outages()
    }
    assert world.rows(MEMBERS) == [(4, 4)]


def test_outages_that_prove_to_be_one_both_get_their_end(
    world: World, shop: Shop, receiver: HttpReceiver
) -> None:
    world.slack(receiver)
    incidents = shop.opens("DB_DOWN|/r0|prod", "TIMEOUT|/r1|prod")
    world.run()
    shop.pass_minutes(5)
    hurry(world)
    incidents += shop.opens(
        "DB_DOWN|/r1|prod", "NULL_REF|/r1|prod", "TIMEOUT|/r0|prod", "NULL_REF|/r0|prod", minute=7
    )
    incidents += shop.opens(*DB_DOWN[2:], *OTHERS[2:9], minute=8)
    hurry(world)
    shop.pass_minutes(6)
    hurry(world)
    assert len(shop.outages()) == 1
    posts = slack_calls(receiver).count("post")
    shop.ends(*incidents)
    hurry(world)
    assert slack_calls(receiver).count("post") == posts
    assert slack_calls(receiver).count("reply") == posts
    assert world.rows(EMPTY) == [(0,)]


def test_doubtful_incident_of_a_confirmed_outage_is_not_told(
    world: World, shop: Shop, receiver: HttpReceiver
) -> None:
    world.webhook(receiver)
    [first] = shop.opens(DB_DOWN[0])
    [second] = shop.opens(DB_DOWN[1], verdict="unconfirmed")
    world.run()
    assert [UUID(one["id"]) for one in receiver.accepted[-1].json["data"]["incidents"]] == [first]
    with world.pool.connection() as connection:
        connection.execute("UPDATE pipeline.incident_states SET verdict = 'confirmed'")
    hurry(world)
    last = receiver.accepted[-1].json
    assert {UUID(one["id"]) for one in last["data"]["incidents"]} == {first, second}
    assert (len(receiver.accepted), last["type"]) == (2, "incident.updated")


def test_outage_that_comes_back_rings_in_the_same_message(
    world: World, shop: Shop, receiver: HttpReceiver
) -> None:
    world.slack(receiver)
    [incident] = shop.opens(DB_DOWN[0])
    world.run()
    shop.pass_minutes(11)
    shop.ends(incident, reason="by_hand")
    world.run()
    shop.opens(DB_DOWN[0], minute=14)
    hurry(world)
    assert slack_calls(receiver) == ["post", "edit", "reply", "edit", "reply"]
    assert "opened again" in receiver.accepted[-1].json["text"]


def test_mail_rings_for_an_outage_once(world: World, shop: Shop) -> None:
    with mail_receiver() as mails:
        target = {"kind": "email", "to": ["a@b.example"], "sender": "c@d.example", "security": "none"}
        world.destination(target | {"host": "127.0.0.1", "port": mails.port})
        incidents = shop.opens(DB_DOWN[0])
        world.run()
        for series in DB_DOWN[1:]:
            incidents += shop.opens(series)
            hurry(world)
        shop.ends(*incidents)
        hurry(world)
    assert len(mails.mails) == 2
    assert "10 incidents, 0 of them not resolved" in mails.mails[1].get_content()


def test_fallback_gets_one_message_for_an_outage(
    world: World, shop: Shop, receiver: HttpReceiver, other: HttpReceiver
) -> None:
    fallback = world.webhook(other, route={})
    world.webhook(receiver, fallback_id=fallback)
    receiver.mode = "gone"
    incidents = shop.opens(*DB_DOWN[:3])
    world.run()
    shop.ends(*incidents)
    hurry(world)
    assert {got.json["data"]["id"] for got in other.accepted} == {str(shop.outages()[0]["id"])}
    assert [got.json["data"]["status"] for got in other.accepted] == ["open", "resolved"]


def test_incidents_that_an_earlier_release_told_one_by_one_each_get_their_end(
    world: World, shop: Shop, receiver: HttpReceiver
) -> None:
    world.pagerduty(receiver)
    told = [world.open("one"), world.open("two")]
    world.run()
    shop.opens(DB_DOWN[0])
    world.run()
    [outage] = shop.outages()
    with world.pool.connection() as connection:
        connection.execute(
            """INSERT INTO pipeline.outage_members (incident_id, outage_id, project_id, environment,
                                                    fingerprint, opened_at)
               SELECT id, %s, project_id, environment, fingerprint, opened_at FROM incidents
               WHERE id = ANY(%s)""",
            [outage["id"], told],
        )
    for incident_id in told:
        world.set(incident_id, status="resolved")
    hurry(world)
    ended = [got.json["dedup_key"] for got in receiver.accepted if got.json["event_action"] == "resolve"]
    assert sorted(ended) == sorted(str(one) for one in told)


def test_chat_gets_few_messages_in_a_storm(world: World, shop: Shop, receiver: HttpReceiver) -> None:
    world.slack(receiver)
    began = time.monotonic()
    for part in range(20):
        shop.opens(*(f"CODE{part}|/p{part}x{number}|prod" for number in range(10)), minute=part / 20)
        world.run()
    hurry(world)
    calls = Counter(slack_calls(receiver))
    assert calls["post"] == 1
    pace_s = EDIT_PACE.total_seconds()
    assert calls["edit"] <= 3 + (time.monotonic() - began) / pace_s  # not one each time that something joined
    assert "200 incidents" in str(receiver.accepted[-1].json["blocks"])
    shop.pass_minutes(5)
    hurry(world)
    assert Counter(slack_calls(receiver))["post"] <= 6


def test_merged_and_split_outages_have_an_end_for_each_opening(
    world: World, shop: Shop, receiver: HttpReceiver, other: HttpReceiver
) -> None:
    world.slack(receiver)
    world.webhook(other)
    work = OutageWork(world.pool)
    [kept] = shop.opens("DB_DOWN|/r0|prod")
    shop.pass_minutes(11)
    [merged] = shop.opens("TIMEOUT|/r1|prod", minute=20)
    shop.pass_minutes(11)
    world.run()
    remains, joins = (one["id"] for one in shop.outages())
    work.merge(TENANCY, joins, remains, actor="key:1")
    hurry(world)
    assert slack_calls(receiver).count("post") == 2
    last = other.accepted[-1].json
    assert (last["type"], last["data"]["id"]) == ("incident.updated", str(joins))
    assert last["data"]["outage_id"] == str(remains)
    assert f"now part of another outage: signals outages show {remains}" in last["data"]["lines"]
    work.split(TENANCY, remains, merged, actor="key:1")
    hurry(world)
    shop.ends(kept, merged)
    hurry(world)
    calls = Counter(slack_calls(receiver))
    assert calls["post"] == calls["reply"]
    told = [(got.json["data"]["id"], got.json["data"]["status"]) for got in other.accepted]
    opened = {subject for subject, status in told if status == "open"}
    assert {subject for subject, status in told if status == "resolved"} == opened
    for subject in opened:  # none ends before it began
        statuses = [status for one, status in told if one == subject]
        assert (statuses[0], statuses[-1]) == ("open", "resolved")
    assert world.rows(EMPTY) == [(0,)]
