"""Slow work ends when its client leaves; quick work is not watched."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from starlette.types import Message

from serve_apps.http import abandoned
from serve_apps.http.abandoned import unless_abandoned

DISCONNECT: Message = {"type": "http.disconnect"}
NO_BODY: Message = {"type": "http.request", "body": b"", "more_body": False}


def test_work_of_a_client_that_left_never_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abandoned, "WATCHED_FROM_S", 0.0)
    messages = iter([NO_BODY, DISCONNECT])
    begun, busy = Event(), Event()

    async def receive() -> Message:
        return next(messages)

    async def run() -> None:
        with ThreadPoolExecutor(1) as threads:
            loop = asyncio.get_running_loop()
            threads.submit(busy.wait)  # holds the only thread
            try:
                with pytest.raises(asyncio.CancelledError):
                    await unless_abandoned(receive, loop.run_in_executor(threads, begun.set))
            finally:
                busy.set()

    asyncio.run(run())
    assert not begun.is_set()


def test_slow_work_of_a_client_that_waits_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abandoned, "WATCHED_FROM_S", 0.0)
    watched, ended = Event(), list[str]()

    async def receive() -> Message:
        watched.set()
        try:
            await asyncio.Event().wait()  # the client stays
        except asyncio.CancelledError:
            ended.append("watch")
            raise
        return DISCONNECT

    def answer() -> str:
        assert watched.wait(60)
        return "answer"

    async def run() -> str:
        with ThreadPoolExecutor(1) as threads:
            work = asyncio.get_running_loop().run_in_executor(threads, answer)
            return await unless_abandoned(receive, work)

    assert asyncio.run(run()) == "answer"
    assert ended == ["watch"]


def test_quick_work_is_not_watched() -> None:
    async def receive() -> Message:
        raise AssertionError("it was watched")

    async def run() -> str:
        work = asyncio.get_running_loop().create_future()
        work.set_result("answer")
        return await unless_abandoned(receive, work)

    assert asyncio.run(run()) == "answer"
