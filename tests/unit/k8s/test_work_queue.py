"""The queue: one pass at a time for each object; no change is lost, failed passes are repeated."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import timedelta

import pytest

from k8s.operator import work_queue
from k8s.operator.cluster import ClusterUnavailable
from k8s.operator.work_queue import Key, WorkQueue

DEADLINE_S = 60.0
ONE, TWO = (Key(kind="SignalsStack", namespace="n", name=name) for name in ("one", "two"))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_queue, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(work_queue, "COALESCE_S", 0.01)


def _run(
    work: Callable[[Key], timedelta | None], use: Callable[[WorkQueue], Coroutine[None, None, None]]
) -> None:
    async def run() -> None:
        queue = WorkQueue(work)
        running = asyncio.create_task(queue.run())
        try:
            await asyncio.wait_for(use(queue), DEADLINE_S)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # the work is done in threads
        await asyncio.sleep(0.005)


def test_simultaneous_changes_cause_one_pass() -> None:
    passes: list[Key] = []

    async def use(queue: WorkQueue) -> None:
        for _ in range(5):
            queue.add(ONE)
        queue.add(TWO)
        await _until(lambda: len(passes) >= 2)

    _run(passes.append, use)
    assert sorted(passes, key=str) == [ONE, TWO]


def test_change_during_a_pass_causes_one_more_pass_afterwards() -> None:
    started, go_on = threading.Event(), threading.Event()
    at_once, most, passes = 0, 0, 0

    def work(_: Key) -> None:
        nonlocal at_once, most, passes
        at_once += 1
        most = max(most, at_once)
        started.set()
        assert go_on.wait(DEADLINE_S)
        at_once -= 1
        passes += 1

    async def use(queue: WorkQueue) -> None:
        queue.add(ONE)
        await _until(started.is_set)
        queue.add(ONE)
        queue.add(ONE)
        go_on.set()
        await _until(lambda: passes == 2)

    _run(work, use)
    assert most == 1


@pytest.mark.parametrize("error", [ClusterUnavailable("away"), ZeroDivisionError("a defect")])
def test_failing_pass_is_repeated_and_stops_no_other(error: Exception) -> None:
    passes: Counter[Key] = Counter()

    def work(key: Key) -> timedelta | None:
        passes[key] += 1
        if key == ONE and passes[ONE] < 4:
            raise error
        return None

    async def use(queue: WorkQueue) -> None:
        queue.add(ONE)
        queue.add(TWO)
        await _until(lambda: passes[ONE] == 4 and passes[TWO] == 1)

    _run(work, use)


def test_object_is_reconciled_until_it_is_gone() -> None:
    passes = 0

    def work(_: Key) -> timedelta | None:
        nonlocal passes
        passes += 1
        return timedelta(milliseconds=5) if passes < 3 else None

    async def use(queue: WorkQueue) -> None:
        queue.add(ONE)
        await _until(lambda: passes == 3)
        queue.add(TWO)  # a further pass over the first object would have been counted
        await _until(lambda: passes == 4)

    _run(work, use)
    assert passes == 4
