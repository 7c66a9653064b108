"""A destination that is away for hours is told the newest state; after a day it is disabled."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import pytest

from signals.domain.notifications.delivery import (
    BACKOFF_CAP,
    DISABLED_AFTER,
    GIVEN_UP_AFTER,
    LOGGED_ATTEMPTS,
)
from signals.services.notifications.attempts import SentNotice
from signals.services.notifications.destination_bodies import DestinationChange
from tests.integration.notifications.conftest import CALLER, World
from tests.integration.notifications.test_notifier import plan_once, types
from tests.support.receivers import HttpReceiver

WAIT: Final = """
SELECT extract(epoch FROM max(run_after) - now())::float8 FROM pipeline.notices WHERE status = 'queued'
"""
MOVE: Final = """
WITH notices AS (
    UPDATE pipeline.notices SET run_after = now(), failing_since = failing_since - %(by)s
)
UPDATE pipeline.destinations SET failing_since = failing_since - %(by)s
"""
STATES: Final = "SELECT n.status, d.state FROM pipeline.notices n JOIN pipeline.destinations d"


class Clock:
    """Attempts one after the other, with the waits between them skipped; `passed` is their sum."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._delivery = world.delivery()
        self._sent: Sequence[SentNotice] = ()
        self.passed = timedelta()
        self.attempts = 0

    def attempt(self) -> None:
        """Record the last attempts and make those that are due."""
        leased = self._delivery.exchange(self._sent, most=10)
        self._sent = [self._delivery.send(one) for one in leased]
        self.attempts += len(self._sent)
        self._delivery.exchange(self._sent, most=0)
        self._sent = ()

    def skip(self) -> bool:
        """Let the wait pass; False when nothing waits."""
        [(seconds,)] = self._world.rows(WAIT)
        if seconds is None:
            return False
        by = timedelta(seconds=max(0.0, seconds))
        self._move(by)
        self.passed += by
        return True

    def _move(self, by: timedelta) -> None:
        with self._world.pool.connection() as connection:
            connection.execute(MOVE, {"by": by})


def first_failure(world: World, receiver: HttpReceiver) -> Clock:
    """Open an incident and fail to tell it once."""
    world.webhook(receiver)
    receiver.mode = "error"
    world.open()
    plan_once(world)
    clock = Clock(world)
    clock.attempt()
    return clock


def states(world: World) -> list[Any]:
    return world.rows(f"{STATES} ON d.id = n.destination_id ORDER BY d.kind")


@pytest.mark.parametrize(("hours", "chance"), [(3, 0.5), (23, 0.0)])
def test_destination_that_was_away_for_hours_is_told_the_newest_state(
    world: World, receiver: HttpReceiver, hours: int, chance: float
) -> None:
    world.chance = lambda: chance
    world.webhook(receiver)
    receiver.mode = "error"
    incident_id = world.open()
    plan_once(world)
    clock = Clock(world)
    while clock.passed < timedelta(hours=hours):
        clock.attempt()
        assert clock.skip(), f"given up after {clock.passed}"
    world.set(incident_id, severity="critical")
    plan_once(world)
    [(lines, counted)] = world.rows("SELECT count(*), sum(attempts) FROM pipeline.notice_attempts")
    assert (lines, counted) == (LOGGED_ATTEMPTS, clock.attempts)
    receiver.mode = "ok"
    clock.attempt()
    assert (types(receiver), receiver.accepted[0].json["data"]["severity"]) == (
        ["incident.opened"],
        "critical",
    )
    assert states(world) == [("succeeded", "active")]
    assert world.rows("SELECT failing_since, attempt_count FROM pipeline.notices") == [(None, 0)]


def test_destination_that_fails_for_a_day_is_disabled_with_its_last_message(
    world: World, receiver: HttpReceiver
) -> None:
    clock = first_failure(world, receiver)
    while clock.skip():
        clock.attempt()
    assert DISABLED_AFTER <= clock.passed <= DISABLED_AFTER + BACKOFF_CAP
    assert states(world) == [("failed", "disabled")]


def test_message_that_alone_fails_is_given_up_after_a_day(
    world: World, receiver: HttpReceiver, other: HttpReceiver
) -> None:
    clock = first_failure(world, receiver)
    while clock.skip():
        with world.pool.connection() as connection:  # others succeed in between
            connection.execute("UPDATE pipeline.destinations SET failing_since = NULL")
        clock.attempt()
    assert GIVEN_UP_AFTER <= clock.passed <= GIVEN_UP_AFTER + BACKOFF_CAP
    assert states(world) == [("failed", "failing")]
    receiver.mode = "ok"
    world.open("the next one")
    world.run()
    assert len(receiver.accepted) == 1


def test_failures_a_day_apart_disable_no_destination(world: World, receiver: HttpReceiver) -> None:
    world.webhook(receiver)
    receiver.mode = "error"
    with world.pool.connection() as connection:
        connection.execute(
            "UPDATE pipeline.destinations SET failing_since = now() - interval '25 hours',"
            " last_failed_at = now() - interval '24 hours'"
        )
    world.open()
    world.run()
    assert states(world) == [("queued", "failing")]


def test_message_is_tried_again_after_a_pause_of_ours(world: World, receiver: HttpReceiver) -> None:
    world.webhook(receiver)
    receiver.mode = "error"
    world.open()
    world.run()
    with world.pool.connection() as connection:  # a laptop that slept for a day
        connection.execute(
            "UPDATE pipeline.notices SET failing_since = now() - interval '25 hours', run_after = now()"
        )
        connection.execute("UPDATE pipeline.notice_attempts SET at = now() - interval '25 hours'")
        connection.execute("UPDATE pipeline.destinations SET failing_since = NULL")
    world.run()
    assert states(world) == [("queued", "failing")]


def test_destination_that_is_enabled_again_is_told_what_it_missed(
    world: World, receiver: HttpReceiver, other: HttpReceiver
) -> None:
    place = world.webhook(receiver)
    world.webhook(other)
    told_before = world.open("told before, ends meanwhile")
    world.run()
    world.destinations.change(CALLER, place, DestinationChange(enabled=False))
    begins, passes = world.open("begins meanwhile"), world.open("begins and ends meanwhile")
    world.run()
    for incident_id in (told_before, passes):
        world.set(incident_id, status="resolved")
    world.run()
    before = len(other.requests)
    world.destinations.change(CALLER, place, DestinationChange(enabled=True))
    world.run()
    got = [(one.json["type"], one.json["data"]["id"]) for one in receiver.accepted]
    assert got[0] == ("incident.opened", str(told_before))
    assert sorted(got[1:]) == [("incident.opened", str(begins)), ("incident.resolved", str(told_before))]
    assert len(other.requests) == before
