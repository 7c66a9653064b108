"""An attempt whose answer was lost may have arrived: what is true now is told, even if it was told before."""

from uuid import UUID

import pytest

from signals.services.notifications.destination_bodies import DestinationChange
from tests.integration.notifications.conftest import CALLER, World
from tests.integration.notifications.test_notifier import plan_once, types
from tests.support.receivers import HttpReceiver


def retry(world: World) -> None:
    """Let the wait of every message pass, and run."""
    with world.pool.connection() as connection:
        connection.execute("UPDATE pipeline.notices SET run_after = now() WHERE status = 'queued'")
    world.run()


def fail(world: World, receiver: HttpReceiver) -> None:
    """Have the receiver read what is due and break off."""
    receiver.mode = "reset"
    before = len(receiver.requests)
    retry(world)
    receiver.mode = "ok"
    assert len(receiver.requests) > before


def lose_worker(world: World) -> None:
    """Send what is due and die before it is recorded, as a process that is killed."""
    delivery = world.delivery()
    for one in delivery.exchange([], most=10):
        delivery.send(one)
    with world.pool.connection() as connection:
        connection.execute("UPDATE pipeline.notices SET leased_until = now() - interval '1 second'")


def actions(receiver: HttpReceiver) -> list[str]:
    return [got.json["event_action"] for got in receiver.accepted]


def test_pager_that_may_have_been_called_is_told_the_end(world: World, receiver: HttpReceiver) -> None:
    world.pagerduty(receiver)
    incident_id = world.open()
    fail(world, receiver)
    world.set(incident_id, status="resolved")
    retry(world)
    assert actions(receiver) == ["resolve"]


def test_pager_that_a_killed_process_called_is_told_the_end(world: World, receiver: HttpReceiver) -> None:
    world.pagerduty(receiver)
    incident_id = world.open()
    plan_once(world)
    lose_worker(world)
    world.set(incident_id, status="resolved")
    world.run()
    assert actions(receiver) == ["trigger", "resolve"]


def test_pager_that_was_not_reached_is_left_alone(world: World, receiver: HttpReceiver) -> None:
    world.pagerduty(receiver)
    receiver.mode = "busy"  # it answered, and took nothing
    incident_id = world.open()
    world.run()
    receiver.mode = "ok"
    world.set(incident_id, status="resolved")
    retry(world)
    assert actions(receiver) == []


@pytest.mark.parametrize("kind", ["webhook", "slack", "pagerduty"])
def test_end_that_may_have_arrived_is_taken_back(world: World, receiver: HttpReceiver, kind: str) -> None:
    getattr(world, kind)(receiver)
    incident_id = world.open()
    world.run()
    told = len(receiver.accepted)
    world.set(incident_id, status="resolved")
    fail(world, receiver)
    world.set(incident_id, status="open", resolved_at=None)
    fail(world, receiver)  # the taking back as well: it stays uncertain
    retry(world)
    news = receiver.accepted[told:]
    assert news, "nobody was told that it goes on"
    if kind == "webhook":
        assert [got.json["type"] for got in news] == ["incident.reopened"]
    assert world.rows("SELECT tried_state, status FROM pipeline.notices") == [(None, "succeeded")]
    retry(world)
    assert receiver.accepted[told:] == news


def test_state_that_a_killed_process_told_is_taken_back(world: World, receiver: HttpReceiver) -> None:
    world.webhook(receiver)
    incident_id = world.open()
    world.run()
    world.set(incident_id, status="investigating")
    plan_once(world)
    lose_worker(world)
    world.set(incident_id, status="open")
    world.run()
    statuses = [got.json["data"]["status"] for got in receiver.accepted]
    assert statuses == ["open", "investigating", "open"]
    assert (
        len({got.headers["webhook-id"] for got in receiver.accepted}) == 3
    )  # a receiver drops ids that it has seen


def test_change_during_an_attempt_that_is_refused_is_told(world: World, receiver: HttpReceiver) -> None:
    world.webhook(receiver)
    incident_id: UUID = world.open()
    world.run()
    world.set(incident_id, status="investigating")
    plan_once(world)
    delivery = world.delivery()
    [under_way] = delivery.exchange([], most=1)
    receiver.mode = "redirect"
    refused = delivery.send(under_way)
    world.set(incident_id, status="resolved")
    plan_once(world)
    receiver.mode = "ok"
    delivery.exchange([refused], most=0)
    world.run()
    assert types(receiver) == ["incident.opened", "incident.resolved"]


def test_row_that_cannot_be_worded_keeps_no_other_back(world: World, receiver: HttpReceiver) -> None:
    world.webhook(receiver)
    world.open("damaged")
    plan_once(world)
    with world.pool.connection() as connection:
        connection.execute("""UPDATE pipeline.notices SET told_state = '{"status": "open"}'""")
    world.open("whole")
    world.run()
    [got] = receiver.accepted
    assert "whole" in got.json["data"]["title"]
    [(error,)] = world.rows("SELECT last_error FROM pipeline.notices WHERE status = 'queued'")
    assert "a fault of the program (TypeError)" in error


@pytest.mark.parametrize("kind", ["webhook", "slack_webhook"])
def test_end_that_a_killed_process_told_is_taken_back(
    world: World, receiver: HttpReceiver, kind: str
) -> None:
    world.destination({"kind": kind, "url": f"{receiver.url}/hook"})
    incident_id = world.open()
    world.run()
    world.set(incident_id, status="resolved")
    plan_once(world)
    lose_worker(world)
    told = len(receiver.accepted)
    world.set(incident_id, status="open", resolved_at=None)
    world.run()
    assert len(receiver.accepted) == told + 1, "nobody was told that it goes on"
    world.set(incident_id, status="resolved")
    plan_once(world)
    lose_worker(world)
    world.run()
    assert len(receiver.accepted) == told + 3, "the end was not told again"


def test_end_that_was_refused_is_not_taken_back(world: World, receiver: HttpReceiver) -> None:
    world.destination({"kind": "slack_webhook", "url": f"{receiver.url}/hook"})
    incident_id = world.open()
    world.run()
    receiver.mode = "busy"  # it answered, and took nothing
    world.set(incident_id, status="resolved")
    retry(world)
    receiver.mode = "ok"
    told = len(receiver.accepted)
    world.set(incident_id, status="open", resolved_at=None)
    retry(world)
    assert len(receiver.accepted) == told


def test_pager_that_may_have_been_called_gets_the_end_after_a_pause(
    world: World, receiver: HttpReceiver
) -> None:
    destination_id = world.pagerduty(receiver)
    incident_id = world.open()
    fail(world, receiver)
    world.destinations.change(CALLER, destination_id, DestinationChange(enabled=False))
    retry(world)  # refused, and given up
    world.set(incident_id, status="resolved")
    world.run()
    world.destinations.change(CALLER, destination_id, DestinationChange(enabled=True))
    retry(world)
    assert actions(receiver)[-1:] == ["resolve"]


def test_end_after_a_lost_end_and_a_lost_return_has_a_key_of_its_own(
    world: World, receiver: HttpReceiver
) -> None:
    world.webhook(receiver)
    incident_id = world.open()
    world.run()
    world.set(incident_id, status="resolved")
    fail(world, receiver)
    world.set(incident_id, status="open", resolved_at=None)
    fail(world, receiver)
    world.set(incident_id, status="resolved")
    retry(world)
    keys = [got.headers["webhook-id"] for got in receiver.requests]
    assert len(keys) == len(set(keys)) == 4
