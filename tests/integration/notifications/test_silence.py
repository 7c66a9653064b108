"""Snoozes and maintenance windows hold messages; nothing is lost, and no end is sent without its opening."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared_types.fingerprints import Fingerprint
from signals.clients.postgres import transaction
from signals.domain.detection.buckets import Series, minute_of
from signals.services.incidents.outage_work import OutageWork, Snooze
from signals.services.incidents.work_refused import WorkRefused
from signals.services.notifications.maintenance import (
    MaintenanceRefused,
    MaintenanceWindows,
    NewMaintenance,
)
from signals.services.notifications.waking import wake_due
from signals.store.detection import buckets
from tests.integration.incidents.shop import Shop
from tests.integration.notifications.conftest import CALLER, World
from tests.integration.notifications.test_outage_notices import DB_DOWN, hurry, shop, slack_calls
from tests.support.events import TENANCY
from tests.support.receivers import HttpReceiver

__all__ = ["shop"]

ACTOR = "key:1"
LATER = timedelta(hours=1)


def in_an_hour() -> datetime:
    return datetime.now(UTC) + LATER


def snooze(world: World, shop: Shop, **fields: Any) -> None:
    [outage] = shop.outages()
    wanted = Snooze(until=in_an_hour(), **fields)
    assert OutageWork(world.pool).snooze(TENANCY, outage["id"], wanted, actor=ACTOR)


def types(receiver: HttpReceiver) -> list[str]:
    return [got.json["type"].removeprefix("incident.") for got in receiver.accepted]


def start(world: World, **fields: Any) -> Any:
    new = NewMaintenance.model_validate({"ends_at": in_an_hour(), "reason": "upgrade", **fields})
    return MaintenanceWindows(world.pool).start(CALLER, new)


def test_snoozed_outage_rings_when_its_time_is_over(world: World, shop: Shop, receiver: HttpReceiver) -> None:
    world.slack(receiver)
    shop.opens(DB_DOWN[0])
    world.run()
    snooze(world, shop)
    hurry(world)
    assert slack_calls(receiver) == ["post", "edit"]  # the message says that it is snoozed
    assert wake_due(world.pool, datetime.now(UTC)) == 0
    assert wake_due(world.pool, datetime.now(UTC) + 2 * LATER) == 1
    assert wake_due(world.pool, datetime.now(UTC) + 2 * LATER) == 0  # once
    hurry(world)
    assert slack_calls(receiver) == ["post", "edit", "edit", "reply"]
    assert "no longer snoozed" in receiver.accepted[-1].json["text"]
    kinds = world.rows("SELECT kind, actor FROM pipeline.incident_changes ORDER BY id")
    assert kinds == [("opened", "engine"), ("snoozed", ACTOR), ("woken", "notifier")]


def test_snoozed_outage_wakes_after_so_many_events(world: World, shop: Shop, receiver: HttpReceiver) -> None:
    world.webhook(receiver)
    shop.opens(DB_DOWN[0])
    named = Fingerprint.parse(DB_DOWN[0])
    series = Series(TENANCY.project_id, "prod", named.metric_name, DB_DOWN[0], TENANCY.org_id)

    def count(events: int) -> None:
        with transaction(world.pool) as connection:
            buckets.increment(connection, {(series, minute_of(datetime.now(UTC))): events})

    count(50)  # before the snooze, in the same minute
    snooze(world, shop, events=10)
    count(9)
    assert wake_due(world.pool, datetime.now(UTC)) == 0
    count(1)
    assert wake_due(world.pool, datetime.now(UTC)) == 1
    [(detail,)] = world.rows("SELECT detail FROM pipeline.incident_changes WHERE kind = 'woken'")
    assert detail == {"snoozed_until": None, "reason": "10 events"}


def test_worse_incident_rings_though_its_outage_is_snoozed(
    world: World, shop: Shop, receiver: HttpReceiver
) -> None:
    world.slack(receiver)
    _, second = shop.opens(*DB_DOWN[:2])
    world.run()
    snooze(world, shop)
    hurry(world)
    world.set(second, severity="critical")
    hurry(world)
    assert slack_calls(receiver) == ["post", "edit", "edit", "reply"]
    wake_due(world.pool, datetime.now(UTC))  # the notifier has done it already, or now
    hurry(world)
    [(detail,)] = world.rows("SELECT detail FROM pipeline.incident_changes WHERE kind = 'woken'")
    assert detail["reason"] == "worse"
    assert slack_calls(receiver).count("reply") == 1  # the same news rings once


def test_snoozed_outage_that_nobody_was_told_of_is_told_when_it_wakes(
    world: World, shop: Shop, receiver: HttpReceiver
) -> None:
    world.webhook(receiver)
    shop.opens(DB_DOWN[0])
    snooze(world, shop)
    world.run()
    assert types(receiver) == []
    [outage] = shop.outages()
    OutageWork(world.pool).wake(TENANCY, outage["id"], actor=ACTOR)
    world.run()
    assert types(receiver) == ["opened"]


def test_waking_is_told_where_the_first_incident_never_was(
    world: World, shop: Shop, receiver: HttpReceiver
) -> None:
    world.webhook(receiver, route={"fingerprint": DB_DOWN[1]})
    shop.opens(DB_DOWN[0])
    snooze(world, shop)
    shop.opens(DB_DOWN[1], minute=1)
    world.run()
    assert types(receiver) == []
    [outage] = shop.outages()
    OutageWork(world.pool).wake(TENANCY, outage["id"], actor=ACTOR)
    world.run()
    assert types(receiver) == ["opened"]


def test_end_of_a_snoozed_outage_is_told(world: World, shop: Shop, receiver: HttpReceiver) -> None:
    world.webhook(receiver)
    incidents = shop.opens(DB_DOWN[0])
    world.run()
    snooze(world, shop)
    hurry(world)
    shop.ends(*incidents)
    hurry(world)
    assert types(receiver) == ["opened", "updated", "resolved"]
    with pytest.raises(WorkRefused, match="nothing to snooze"):
        snooze(world, shop)


def test_maintenance_holds_what_opens_until_its_end(world: World, shop: Shop, receiver: HttpReceiver) -> None:
    world.webhook(receiver)
    window = start(world)
    lasting, over = shop.opens(DB_DOWN[0]), shop.opens("TIMEOUT|/r1|staging", minute=120)
    world.run()
    shop.ends(*over)
    world.run()
    assert types(receiver) == []
    assert world.rows("SELECT count(*) FROM incidents") == [(2,)]  # counting goes on
    assert MaintenanceWindows(world.pool).end(CALLER, window.id)
    assert not MaintenanceWindows(world.pool).end(CALLER, window.id)
    world.run()
    assert types(receiver) == ["opened"]  # nobody needs to know what began and ended in it
    assert receiver.accepted[0].json["data"]["incidents"][0]["id"] == str(lasting[0])


def test_maintenance_holds_follow_ups_and_repeats_nothing(
    world: World, shop: Shop, receiver: HttpReceiver, other: HttpReceiver
) -> None:
    world.webhook(receiver)
    world.slack(other)
    [first] = shop.opens(DB_DOWN[0])
    shop.pass_minutes(11)
    [second] = shop.opens("TIMEOUT|/r1|prod", minute=240)
    world.run()
    assert types(receiver) == ["opened", "opened"]
    window = start(world, environment="prod")
    world.set(first, status="resolved")
    world.run()
    assert len(types(receiver)) == 2
    MaintenanceWindows(world.pool).end(CALLER, window.id)
    world.run()
    assert types(receiver) == ["opened", "opened", "resolved"]
    assert world.rows("SELECT status FROM incidents WHERE id = %s", second) == [("open",)]


def test_maintenance_of_one_environment_leaves_others_ringing(
    world: World, shop: Shop, receiver: HttpReceiver
) -> None:
    world.webhook(receiver)
    start(world, environment="staging")
    start(world, fingerprint="TIMEOUT|*")
    shop.opens("TIMEOUT|/r1|prod")
    world.run()
    assert types(receiver) == []
    shop.opens(DB_DOWN[0])  # joins the outage, which is outside of maintenance now
    world.run()
    assert types(receiver) == ["opened"]


@pytest.mark.parametrize("hours", [-1, 24 * 8])
def test_window_that_is_over_or_too_long_is_refused(world: World, hours: int) -> None:
    with pytest.raises(MaintenanceRefused, match="ends_at"):
        start(world, ends_at=datetime.now(UTC) + timedelta(hours=hours))
