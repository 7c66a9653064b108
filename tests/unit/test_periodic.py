"""Duties that are repeated: in a thread, in a task, and inside a loop."""

import asyncio
import subprocess
import sys
import threading

import pytest
from structlog.testing import capture_logs

from signals.errors import DependencyUnavailable
from signals.periodic import Interval, repeated, repeated_in_task
from tests.support.waiting import until

AWAY = DependencyUnavailable("PostgreSQL", "away")


def test_a_thread_repeats_a_duty_after_an_outage_and_ends_with_its_block() -> None:
    calls: list[str] = []

    def duty() -> None:
        calls.append(threading.current_thread().name)
        if len(calls) == 1:
            raise AWAY

    with repeated(duty, every_s=0.01, name="copying"):
        until(lambda: len(calls) >= 3)
    assert set(calls) == {"copying"}
    until(lambda: "copying" not in {thread.name for thread in threading.enumerate()})


def test_a_duty_that_crashes_ends_the_process() -> None:
    program = "import threading; from signals.periodic import repeated\n"
    program += "with repeated(lambda: 1 / 0, every_s=60, name='division'): threading.Event().wait(30)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert "division" in finished.stdout + finished.stderr


def test_a_task_repeats_a_duty_after_an_outage_and_once_more_at_the_end() -> None:
    calls: list[int] = []

    def duty() -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise AWAY

    async def live() -> int:
        async with repeated_in_task(duty, every_s=0.01, name="copying"):
            await asyncio.to_thread(until, lambda: len(calls) >= 3)
            return len(calls)

    assert asyncio.run(live()) < len(calls)


def test_task_repeats_a_duty_that_crashed_and_says_so() -> None:
    calls: list[int] = []

    def duty() -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise ZeroDivisionError

    async def live() -> None:
        async with repeated_in_task(duty, every_s=0.01, name="division"):
            await asyncio.to_thread(until, lambda: len(calls) >= 3)

    with capture_logs() as logs:
        asyncio.run(live())
    assert [(line["event"], line["duty"]) for line in logs] == [("periodic duty crashed", "division")]


def test_last_call_of_a_task_raises_other_errors() -> None:
    async def live() -> None:
        async with repeated_in_task(lambda: 1 / 0, every_s=60, name="division"):
            pass

    with pytest.raises(ZeroDivisionError):
        asyncio.run(live())


def test_an_interval_is_due_at_once_then_when_it_has_passed_or_is_reset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr("signals.periodic.time.monotonic", lambda: now[0])
    interval = Interval(5)
    due = [interval.is_due()]
    for seconds in (4.9, 0.1, 1.0):
        now[0] += seconds
        due.append(interval.is_due())
    interval.reset()
    assert (due, interval.is_due()) == ([True, False, True, False], True)
