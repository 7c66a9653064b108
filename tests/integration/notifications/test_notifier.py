"""An incident is told once at each destination, in order, in its newest state, and never twice."""

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from signals.services.notifications.destination_bodies import DestinationChange
from signals.services.notifications.planner import plan
from signals.services.operations.retention import Retention
from signals.settings import RetentionSettings
from tests.integration.notifications.conftest import CALLER, World
from tests.support.receivers import HttpReceiver, http_receiver, mail_receiver
from tests.support.waiting import until

STATE = """
INSERT INTO pipeline.incident_states (incident_id, kind, grouping, verdict) VALUES (%s, 'new', 1, %s)
"""
FURTHER = """
INSERT INTO ai_outputs (id, incident_id, output_type, model, content_json, created_at)
VALUES (%s, %s, 'summary', 'test', %s, clock_timestamp()) RETURNING id
"""
WAIT = """
SELECT extract(epoch FROM run_after - updated_at)::float8 FROM pipeline.notices WHERE status = 'queued'
"""


def types(receiver: HttpReceiver) -> list[str]:
    return [got.json["type"] for got in receiver.accepted]


def test_incident_is_told_from_opening_to_end(world: World, receiver: HttpReceiver) -> None:
    world.webhook(receiver)
    incident_id = world.open()
    world.run()
    for change in ({"severity": "critical"}, {"status": "investigating"}, {"status": "resolved"}):
        world.set(incident_id, **change)
        world.run()
    assert types(receiver) == [
        "incident.opened",
        "incident.worse",
        "incident.updated",
        "incident.resolved",
    ]
    ids = [got.headers["webhook-id"] for got in receiver.requests]
    assert len(set(ids)) == 4
    log = world.rows("SELECT outcome, status FROM pipeline.notice_attempts ORDER BY id")
    assert log == [("told", 200)] * 4


def test_opening_is_told_without_the_summary_which_edits_it(world: World, receiver: HttpReceiver) -> None:
    world.slack(receiver)
    incident_id = world.open()
    world.run()
    world.summarize(incident_id)
    world.run()
    world.set(incident_id, status="resolved")
    world.run()
    assert [got.path.rsplit(".", 1)[1] for got in receiver.requests] == [
        "postMessage",
        "update",
        "update",
        "postMessage",  # the reply in the thread: it is over
    ]
    assert "Checkout is down." in receiver.requests[1].body.decode()


def test_finding_of_a_further_version_edits_what_was_told(world: World, receiver: HttpReceiver) -> None:
    world.slack(receiver)
    incident_id = world.open()
    world.run()
    world.summarize(incident_id)
    world.run()
    finding = '{"likely_causes": ["Release 7: in 100 %"], "findings": {"causes": []}}'
    world.rows(FURTHER, uuid4(), incident_id, finding)
    world.run()
    assert [got.path.rsplit(".", 1)[1] for got in receiver.requests] == ["postMessage", "update", "update"]
    assert "Release 7: in 100 %" in receiver.requests[2].body.decode()
    world.rows(FURTHER, uuid4(), incident_id, finding.replace("{", '{"note": "asked again", ', 1))
    world.run()
    assert len(receiver.requests) == 3  # the same words are not told again


def test_finding_is_mailed_once(world: World) -> None:
    with mail_receiver() as mails:
        target = {"kind": "email", "to": ["a@b.example"], "sender": "c@d.example", "security": "none"}
        world.destination(target | {"host": "127.0.0.1", "port": mails.port})
        incident_id = world.open()
        world.summarize(incident_id)
        world.run()
        for cause in ("Release 7", "Release 8"):
            content = f'{{"likely_causes": ["{cause}"], "findings": {{"causes": []}}}}'
            world.rows(FURTHER, uuid4(), incident_id, content)
            world.run()
    assert ["Release 7" in str(mail) for mail in mails.mails] == [False, True]


def test_incident_found_in_old_events_rings_nowhere_until_it_is_seen_again(
    world: World, receiver: HttpReceiver
) -> None:
    world.webhook(receiver)
    incident_id = world.open()
    world.rows("UPDATE incidents SET last_seen_at = now() - interval '7 hours' RETURNING id")
    world.run()
    assert receiver.requests == []
    world.rows("UPDATE incidents SET last_seen_at = now(), severity = 'critical' RETURNING id")
    world.run()
    assert types(receiver) == ["incident.opened"]
    world.rows("UPDATE incidents SET last_seen_at = now() - interval '7 hours' RETURNING id")
    world.set(incident_id, status="resolved")
    world.run()
    assert types(receiver) == ["incident.opened", "incident.resolved"]


def test_change_that_is_none_for_people_sends_nothing(world: World, receiver: HttpReceiver) -> None:
    world.destination({"kind": "slack_webhook", "url": f"{receiver.url}/hook"})
    incident_id = world.open()
    world.run()
    world.set(incident_id, title="Another title")
    world.summarize(incident_id)
    world.set(incident_id, last_seen_at="2030-01-01T00:00:00Z")
    world.run()
    assert len(receiver.requests) == 1
    assert world.rows("SELECT status, told = wanted FROM pipeline.notices") == [("succeeded", True)]


@pytest.mark.parametrize("verdict", ["learning", "unconfirmed"])
def test_doubtful_incident_is_told_when_it_is_confirmed(
    world: World, receiver: HttpReceiver, other: HttpReceiver, verdict: str
) -> None:
    world.webhook(receiver)
    world.webhook(other, route={"verdicts": ["confirmed", "unconfirmed", "learning"]})
    incident_id = world.open()
    with world.pool.connection() as connection:
        connection.execute(STATE, [incident_id, verdict])
    world.run()
    assert (types(receiver), types(other)) == ([], ["incident.opened"])
    with world.pool.connection() as connection:
        connection.execute("UPDATE pipeline.incident_states SET verdict = 'confirmed'")
    world.run()
    assert types(receiver) == ["incident.opened"]
    assert len(types(other)) == 1


def test_end_is_told_even_when_the_route_is_gone(world: World, receiver: HttpReceiver) -> None:
    world.webhook(receiver)
    incident_id = world.open()
    world.run()
    with world.pool.connection() as connection:
        connection.execute("DELETE FROM pipeline.routes")
    world.set(incident_id, status="resolved")
    world.open("nobody is notified about this one")
    world.run()
    assert types(receiver) == ["incident.opened", "incident.resolved"]


def test_destination_that_was_away_is_told_the_newest_state_only(
    world: World, receiver: HttpReceiver, other: HttpReceiver
) -> None:
    world.chance = lambda: 0.99  # short waits
    world.slack(receiver)
    world.webhook(other)
    receiver.mode = "error"
    incident_id = world.open()
    world.run()
    for severity in ("critical", "error", "critical"):
        world.set(incident_id, severity=severity)
        world.run()
    assert (receiver.accepted, world.rows("SELECT state FROM pipeline.destinations ORDER BY kind")) == (
        [],
        [("failing",), ("active",)],
    )
    assert "incident.opened" in types(other)  # undisturbed
    receiver.mode = "ok"
    with world.notifier() as notifier:
        until(lambda: notifier.step(0.05) >= 0 and receiver.accepted and world.is_quiet(), every_s=0.0)
    assert [got.path for got in receiver.accepted] == ["/api/chat.postMessage"]
    assert "[critical]" in receiver.accepted[0].body.decode()
    assert world.rows("SELECT DISTINCT state FROM pipeline.destinations") == [("active",)]


def test_incident_that_ended_before_it_was_told_is_one_message(world: World, receiver: HttpReceiver) -> None:
    world.webhook(receiver)
    world.pagerduty(receiver)
    incident_id = world.open()
    world.set(incident_id, status="resolved")
    world.run()
    assert [got.path for got in receiver.requests] == ["/hook"]
    assert types(receiver) == ["incident.resolved"]


def test_destination_is_not_told_the_end_of_what_it_never_saw(world: World, receiver: HttpReceiver) -> None:
    over, lasting = world.open(), world.open("lasts")
    world.set(over, status="resolved")
    world.run()
    world.webhook(receiver)
    for incident_id in (over, lasting):
        world.summarize(incident_id)  # a change after the destination was created
    world.run()
    assert types(receiver) == ["incident.opened"]
    assert "lasts" in receiver.requests[0].body.decode()


def test_pager_is_acknowledged_and_resolved(world: World, receiver: HttpReceiver) -> None:
    world.pagerduty(receiver)
    incident_id = world.open()
    world.run()
    for status in ("investigating", "resolved"):
        world.set(incident_id, status=status)
        world.run()
    actions = [(got.json["event_action"], got.json["dedup_key"]) for got in receiver.requests]
    assert actions == [(action, str(incident_id)) for action in ("trigger", "acknowledge", "resolve")]


def test_storm_is_joined_into_one_message(world: World, receiver: HttpReceiver, other: HttpReceiver) -> None:
    world.slack(receiver)
    world.pagerduty(other)
    for number in range(60):
        world.open(f"number {number}")
    planners = [threading.Thread(target=plan_once, args=(world,)) for _ in range(2)]
    for planner in planners:
        planner.start()
    for planner in planners:
        planner.join()
    world.run()
    posts = [got for got in receiver.requests if got.path.endswith("postMessage")]
    assert len(posts) == 6
    [storm] = [got for got in posts if "further incidents" in got.body.decode()]
    assert "55 further incidents" in storm.body.decode()
    assert len(other.accepted) == 60
    told = "SELECT count(*), count(DISTINCT (destination_id, subject_id)) FROM pipeline.notice_subjects"
    assert world.rows(told) == [(120, 120)]


def plan_once(world: World) -> None:
    """Plan the messages of what changed."""
    with world.pool.connection() as connection:
        [now] = connection.execute("SELECT now()").fetchall()
        plan(connection, now[0])


def test_quiet_hours_hold_all_but_critical(world: World, receiver: HttpReceiver) -> None:
    now = datetime.now(UTC)
    begins, ends = (f"{now + timedelta(hours=hours):%H:%M}" for hours in (-6, 6))  # midnight ends no wait
    world.webhook(receiver, route={"quiet": {"begins": begins, "ends": ends}})
    world.open("waits")
    urgent = world.open("is told", severity="critical")
    world.run()
    assert [UUID(got.json["data"]["id"]) for got in receiver.requests] == [urgent]
    assert world.rows("SELECT count(*) FROM pipeline.notices WHERE run_after > now()") == [(1,)]


def test_fallback_is_told_when_a_destination_refuses(
    world: World, receiver: HttpReceiver, other: HttpReceiver
) -> None:
    fallback = world.webhook(other, route={})
    world.webhook(receiver, fallback_id=fallback)
    receiver.mode = "gone"
    incident_id = world.open()
    world.run()
    [got] = other.requests
    assert UUID(got.json["data"]["id"]) == incident_id
    assert world.rows("SELECT state FROM pipeline.destinations WHERE fallback_id IS NOT NULL") == [
        ("disabled",)
    ]
    world.open("the destination is closed")
    world.run()
    assert len(receiver.requests) == 1  # 410 closed it at once


def test_fallback_takes_the_routes_of_a_disabled_destination(
    world: World, receiver: HttpReceiver, other: HttpReceiver
) -> None:
    fallback = world.webhook(other, route={})
    place = world.webhook(receiver, fallback_id=fallback)
    world.destinations.change(CALLER, place, DestinationChange(enabled=False))
    incident_id = world.open()
    world.run()
    world.set(incident_id, status="resolved")
    world.run()
    assert types(other) == ["incident.opened", "incident.resolved"]
    assert receiver.requests == []


def test_destination_that_fails_for_a_day_is_disabled(world: World, receiver: HttpReceiver) -> None:
    world.webhook(receiver)
    receiver.mode = "error"
    with world.pool.connection() as connection:
        connection.execute(
            "UPDATE pipeline.destinations SET failing_since = now() - interval '25 hours',"
            " last_failed_at = now() - interval '5 minutes'"
        )
    world.open()
    world.run()
    assert world.rows("SELECT state, last_error FROM pipeline.destinations") == [
        ("disabled", "it answered 500")
    ]


def test_retry_after_is_a_lower_bound(world: World, receiver: HttpReceiver) -> None:
    world.chance = lambda: 0.99
    world.webhook(receiver)
    receiver.mode = "busy"
    world.open()
    world.run()
    [(wait,)] = world.rows(WAIT)
    assert wait >= 2


def test_mail_follows_the_incident_in_one_thread(world: World) -> None:
    with mail_receiver() as mails:
        target = {"kind": "email", "to": ["a@b.example"], "sender": "c@d.example", "security": "none"}
        world.destination(target | {"host": "127.0.0.1", "port": mails.port})
        incident_id = world.open()
        world.run()
        world.summarize(incident_id)
        world.run()
        world.set(incident_id, status="resolved")
        world.run()
    assert len(mails.mails) == 3
    root = mails.mails[0]["Message-ID"]
    assert [mail["References"] for mail in mails.mails[1:]] == [root, root]


def test_secrets_are_in_no_table_and_no_log(
    world: World, receiver: HttpReceiver, capfd: pytest.CaptureFixture[str]
) -> None:
    with http_receiver() as hidden:
        world.destination({"kind": "webhook", "url": f"{hidden.url}/T0/very-secret-path"})
        hidden.mode = "error"
        world.open()
        world.run()
    written = capfd.readouterr()
    tables = ("destinations", "notices", "notice_attempts", "incident_changes")
    stored = "".join(str(world.rows(f"SELECT t::text FROM pipeline.{table} t")) for table in tables)
    for text in (written.out, written.err, stored):
        assert "very-secret-path" not in text
        assert "whsec_" not in text


def test_old_lines_of_the_delivery_log_are_removed(world: World, receiver: HttpReceiver) -> None:
    world.webhook(receiver)
    for number in range(2):
        world.open(f"number {number}")
    world.run()
    with world.pool.connection() as connection:
        connection.execute(
            "UPDATE pipeline.notice_attempts SET at = now() - interval '31 days'"
            " WHERE id = (SELECT min(id) FROM pipeline.notice_attempts)"
        )
    Retention(world.pool, RetentionSettings()).round()
    assert world.rows("SELECT count(*) FROM pipeline.notice_attempts") == [(1,)]
