"""Notifiers that die, hang, come late or work side by side tell each message once, under one key."""

import threading

import pytest

from tests.integration.notifications.conftest import World
from tests.integration.notifications.test_notifier import plan_once, types
from tests.support.receivers import HttpReceiver, Mode
from tests.support.waiting import until


def test_hanging_destination_holds_two_senders_at_most(
    world: World, receiver: HttpReceiver, other: HttpReceiver
) -> None:
    world.pagerduty(receiver)
    world.webhook(other)
    receiver.mode = "hang"
    for number in range(12):
        world.open(f"number {number}")
    with world.notifier() as notifier:
        until(lambda: notifier.step(0.02) is not None and len(other.accepted) == 12, every_s=0.0)
        assert len(receiver.requests) <= 4
        receiver.closing.set()


def test_fault_with_one_message_keeps_no_other_back(
    world: World, receiver: HttpReceiver, other: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise UnicodeEncodeError("ascii", "\xfc", 0, 1, "ordinal not in range")

    monkeypatch.setattr("signals.clients.outbound.senders.pagerduty_event", fail)
    world.pagerduty(receiver)
    world.webhook(other)
    world.open()
    with world.notifier() as notifier:
        until(lambda: notifier.step(0.02) is not None and len(other.accepted) == 1, every_s=0.0)
    [(error,)] = world.rows("SELECT DISTINCT error FROM pipeline.notice_attempts WHERE error IS NOT NULL")
    assert "a fault of the program (UnicodeEncodeError)" in error


@pytest.mark.parametrize("mode", ["ok", "error"])
def test_late_sender_cannot_finish_a_message_that_another_took_over(
    world: World, receiver: HttpReceiver, mode: Mode
) -> None:
    world.webhook(receiver)
    world.open()
    plan_once(world)
    delivery = world.delivery()
    [late] = delivery.exchange([], most=1)
    with world.pool.connection() as connection:
        connection.execute("UPDATE pipeline.notices SET leased_until = now() - interval '1 second'")
    world.run()
    receiver.mode = mode
    assert delivery.exchange([delivery.send(late)], most=1) == []
    assert world.rows("SELECT sends, status, attempt_count FROM pipeline.notices") == [(1, "succeeded", 0)]
    assert len(world.rows("SELECT 1 FROM pipeline.notice_attempts")) == 1


def test_message_of_a_killed_process_keeps_its_key_when_a_summary_came(
    world: World, receiver: HttpReceiver
) -> None:
    world.webhook(receiver)
    incident_id = world.open()
    plan_once(world)
    delivery = world.delivery()
    [under_way] = delivery.exchange([], most=1)
    delivery.send(under_way)  # and never recorded
    with world.pool.connection() as connection:
        connection.execute("UPDATE pipeline.notices SET leased_until = now() - interval '1 second'")
    world.summarize(incident_id)
    world.run()
    assert types(receiver)[:2] == ["incident.opened", "incident.opened"]
    first, second, *_ = [got.headers["webhook-id"] for got in receiver.requests]
    assert first == second
    world.set(incident_id, status="resolved")
    world.run()
    ids = [got.headers["webhook-id"] for got in receiver.requests]
    assert len(set(ids)) == len(ids) - 1


def test_one_lease_takes_two_messages_a_destination_at_most(
    world: World, receiver: HttpReceiver, other: HttpReceiver
) -> None:
    places = [world.webhook(one) for one in (receiver, other)]
    for number in range(4):
        world.open(f"number {number}")
    plan_once(world)
    delivery = world.delivery()
    first = delivery.exchange([], most=10)
    assert sorted(one.held.destination_id for one in first) == sorted(2 * places)
    assert delivery.exchange([], most=10) == []
    sent = [delivery.send(one) for one in first if one.held.destination_id == places[0]]
    assert [one.held.destination_id for one in delivery.exchange(sent, most=10)] == 2 * places[:1]


def test_stopped_notifier_records_the_message_under_way(world: World, receiver: HttpReceiver) -> None:
    world.webhook(receiver)
    world.open()
    receiver.mode = "slow"
    with world.notifier() as notifier:
        until(lambda: notifier.step(0.0) is not None and bool(receiver.requests), every_s=0.0)
    assert world.rows("SELECT sends, status FROM pipeline.notices") == [(1, "succeeded")]


def test_several_notifiers_tell_each_incident_once(world: World, receiver: HttpReceiver) -> None:
    world.slack(receiver)
    world.webhook(receiver)
    for number in range(4):
        world.open(f"number {number}")
    done = threading.Event()

    def work() -> None:
        with world.notifier() as notifier:
            while not done.is_set():
                notifier.step(0.02)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(receiver.requests) >= 8 and world.is_quiet())
    done.set()
    for thread in threads:
        thread.join()
    assert len(receiver.requests) == 8
