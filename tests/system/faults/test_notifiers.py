"""Notifiers that are killed, and destinations that fail: every incident is told once, in its newest state."""

import os
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from statistics import quantiles
from typing import Any, Final, cast

import pytest
from cryptography.fernet import Fernet, MultiFernet
from psycopg_pool import ConnectionPool

from signals.clients.outbound.senders import Sender
from signals.clients.postgres import Connection
from signals.clients.sealing import Seal
from signals.services.access.provisioning import create_org, create_project
from signals.settings import PostgresSettings
from tests.integration.notifications.conftest import LOOPBACK, World
from tests.support.events import TENANCY
from tests.support.receivers import HttpReceiver, Mode, Received, http_receiver
from tests.support.waiting import until
from tests.system.faults.table import FaultRow

pytestmark = [pytest.mark.faults]

Rows = Callable[[str], FaultRow]
KEY: Final = Fernet.generate_key()
NOTIFIERS: Final = 4
KILLS: Final = 10
INCIDENTS: Final = 500
MODES: Final = ("refused", "error", "busy", "hang", "drip", "reset")
ONE_BY_ONE: Final = 12  # incidents of each phase of which the latency at the healthy destination is taken
FAILED: Final = "SELECT count(*) FROM pipeline.notices WHERE attempt_count > 0"
LONGEST: Final = """
SELECT coalesce(max(extract(epoch FROM run_after - now())), 0)::float8
FROM pipeline.notices WHERE attempt_count > 0
"""
PROGRAM: Final = """
import random, sys
from signals.clients.postgres import open_pool
from signals.services.notifications.notifier import Notifier, open_delivery
from signals.settings import PostgresSettings
with open_pool(PostgresSettings.from_env(), size=11) as pool:
    with Notifier(pool, open_delivery(pool, random.random)) as notifier:
        print("ready", flush=True)
        while True:
            notifier.step(0.2)
"""


@pytest.fixture
def world(pool: ConnectionPool[Connection]) -> World:
    """A project with nothing in it yet."""
    create_org(pool, TENANCY.org_id, "An organisation")
    create_project(pool, TENANCY.project_id, org_id=TENANCY.org_id, name="A project")
    return World(pool=pool, seal=Seal(MultiFernet([Fernet(KEY)])), sender=Sender(LOOPBACK, timeout_s=2))


class Notifiers:
    """Notifier processes; one that is killed is replaced."""

    def __init__(self, database: PostgresSettings) -> None:
        self._environment = os.environ | {
            "DATABASE_URL": database.database_url.get_secret_value(),
            "PG_SSLMODE": "disable",
            "SIGNALS_SECRET_KEYS": KEY.decode(),
            "SIGNALS_NOTIFY_ALLOW": "127.0.0.0/8",
            "SIGNALS_NOTIFY_TIMEOUT_S": "2",
        }
        self._processes = [self._start() for _ in range(NOTIFIERS)]

    def kill_one(self, chance: random.Random) -> None:
        """Kill one at a random place, and start another."""
        place = chance.randrange(NOTIFIERS)
        self._processes[place].kill()
        self._processes[place].wait()
        self._processes[place] = self._start()

    def close(self) -> None:
        """End all."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@contextmanager
def notifiers(database: PostgresSettings) -> Iterator[Notifiers]:
    """Run notifiers inside the block."""
    running = Notifiers(database)
    try:
        yield running
    finally:
        running.close()


def test_killed_notifiers_lose_and_repeat_nothing(
    world: World, database: PostgresSettings, fault_row: Rows
) -> None:
    row, chance = fault_row("SIGKILL notifiers, 4 of them, 5 destinations"), random.Random(7)
    with ExitStack() as stack:
        receivers = [stack.enter_context(http_receiver()) for _ in range(5)]
        for receiver in receivers[:3]:
            world.webhook(receiver)
        for receiver in receivers[3:]:
            world.pagerduty(receiver)
        running = stack.enter_context(notifiers(database))
        ids = [world.open(f"number {number}") for number in range(INCIDENTS)]
        _kill(running, row, chance, receivers)
        until(
            lambda: all(len(_subjects(one.accepted)) == INCIDENTS for one in receivers),
            within_s=240,
            every_s=0.5,
        )
        for incident_id in ids:  # not before: a pager is left alone when all is over before it was called
            world.set(incident_id, status="resolved")
        _kill(running, row, chance, receivers)
        until(lambda: _all_resolved(receivers, len(ids)), within_s=240, every_s=0.5)
        until(world.is_quiet, within_s=120, every_s=0.5)
    lost = doubled = repeats = 0
    for receiver in receivers:
        told = defaultdict(list)
        for got in receiver.accepted:
            told[_subject(got.json)].append((got.headers.get("webhook-id"), _state(got.json)))
        lost += INCIDENTS - len(told)
        for versions in told.values():
            states = [state for _, state in versions]
            assert states == sorted(states), "out of order"
            doubled += sum(count - 1 for count in Counter(states).values())
            repeats += len(versions) - len(set(versions))
    row.judged(acknowledged=INCIDENTS * 5, lost=lost, double=doubled - repeats)
    assert lost == 0
    assert doubled <= row.injected * 8  # only what each killed process had under way
    [(deadlocks,)] = world.rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert deadlocks == 0
    [(notices,)] = world.rows("SELECT count(*) FROM pipeline.notices")
    assert notices == INCIDENTS * 5  # one message a pair


@pytest.mark.faults_quick
@pytest.mark.parametrize("mode", MODES)
def test_failing_destination_gets_the_newest_state_and_delays_no_other(
    world: World, database: PostgresSettings, fault_row: Rows, mode: str
) -> None:
    row = fault_row(f"destination of notices: {mode}")
    with ExitStack() as stack:
        failing = _Failing(stack)
        healthy = stack.enter_context(http_receiver())
        stack.enter_context(notifiers(database))
        world.webhook(failing.receiver)
        world.webhook(healthy)
        undisturbed = [_told_after_s(world, healthy) for _ in range(ONE_BY_ONE)]
        failing.begin(mode)
        disturbed = [_told_after_s(world, healthy) for _ in range(ONE_BY_ONE)]
        accepted = len(failing.accepted)
        ids = [world.open(f"number {number}") for number in range(8)]
        for severity in ("critical", "error", "critical"):
            for incident_id in ids:
                world.set(incident_id, severity=severity)
        wanted = {str(one) for one in ids}
        row.injected += len(ids) + ONE_BY_ONE
        until(lambda: wanted <= _subjects(healthy.accepted), within_s=60)
        assert len(failing.accepted) == accepted
        until(lambda: world.rows(FAILED)[0][0] >= len(ids), within_s=60)
        failing.end()
        [(longest_s,)] = world.rows(LONGEST)
        # One back-off after its return, and the time to send.
        until(lambda: wanted <= _subjects(failing.accepted), within_s=longest_s + 20)
        until(world.is_quiet, within_s=60)
    told = failing.accepted[accepted:]
    newest = {
        got.json["data"]["id"]: got.json["data"]["severity"] for got in told if _subject(got.json) in wanted
    }
    row.judged(acknowledged=len(ids), lost=len(ids) - len(newest), double=0)
    assert set(newest.values()) == {"critical"}
    assert len(told) <= 2 * len(ids) + ONE_BY_ONE  # the newest state, not each of the four
    assert _p95(disturbed) <= 2 * _p95(undisturbed)


class _Failing:
    """A destination that fails in one way for a while, and what it accepted before and after."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._server = ExitStack()
        self.receiver = self._server.enter_context(http_receiver())
        self._before = self.receiver
        stack.callback(self._server.close)

    @property
    def accepted(self) -> list[Received]:
        """The requests that were answered with 200."""
        after = [] if self._before is self.receiver else self.receiver.accepted
        return self._before.accepted + after

    def begin(self, mode: str) -> None:
        """Fail from now on; `refused`: the port is closed."""
        if mode == "refused":
            self._server.close()
        else:
            self.receiver.mode = cast("Mode", mode)

    def end(self) -> None:
        """Work again, at the same port."""
        if self.receiver.mode == "ok":
            self.receiver = self._server.enter_context(http_receiver(self.receiver.port))
            return
        self.receiver.mode = "ok"
        self.receiver.closing.set()
        self.receiver.closing.clear()


def _told_after_s(world: World, receiver: HttpReceiver) -> float:
    """Open an incident, and return how long the receiver waits for it."""
    began = time.monotonic()
    incident_id = str(world.open())
    until(lambda: incident_id in _subjects(receiver.accepted), within_s=60, every_s=0.005)
    return time.monotonic() - began


def _p95(taken: list[float]) -> float:
    return quantiles(taken, n=20)[-1]


def _kill(running: Notifiers, row: FaultRow, chance: random.Random, receivers: list[HttpReceiver]) -> None:
    """Kill several notifiers, each while messages come in."""
    for _ in range(KILLS // 2):
        before = sum(len(one.requests) for one in receivers)
        with suppress(TimeoutError):  # all was sent already
            until(partial(_have_taken, receivers, before + 5), within_s=15)
        running.kill_one(chance)
        row.injected += 1


def _have_taken(receivers: list[HttpReceiver], requests: int) -> bool:
    return sum(len(one.requests) for one in receivers) >= requests


def _subject(body: Any) -> str:
    return str(body["dedup_key"] if "dedup_key" in body else body["data"]["id"])


def _state(body: Any) -> int:
    if "event_action" in body:
        return int(body["event_action"] == "resolve")
    return int(body["data"]["status"] == "resolved")


def _subjects(requests: list[Received]) -> set[str]:
    return {_subject(got.json) for got in requests}


def _all_resolved(receivers: list[HttpReceiver], count: int) -> bool:
    return all(
        len({_subject(got.json) for got in receiver.accepted if _state(got.json)}) == count
        for receiver in receivers
    )
