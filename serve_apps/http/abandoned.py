"""Ends the wait for slow work when its client has left, so that abandoned requests do not delay others."""

import asyncio
from typing import Final, TypeVar

from starlette.types import Receive

WATCHED_FROM_S: Final = 0.05  # guess: most reads are over by then, and cost no watch

Result = TypeVar("Result")


async def unless_abandoned(receive: Receive, work: "asyncio.Future[Result]") -> Result:
    """Await work in a thread; when the client leaves, cancel it: work that has not begun never will.

    `receive` is the request's, whose body no other code reads. Serve would watch every request from its
    start in two tasks, which cost 40 CPU-us or more; `signals/ray_node/haproxy.py` lets
    it do so for searches only.

    Raises:
        CancelledError: the client has left, and no answer is needed.
    """
    watch = asyncio.get_running_loop().call_later(WATCHED_FROM_S, _watch, receive, work)
    try:
        return await work
    finally:
        watch.cancel()


def _watch(receive: Receive, work: "asyncio.Future[Result]") -> None:
    watching = asyncio.ensure_future(_cancel_when_gone(receive, work))
    work.add_done_callback(lambda _: watching.cancel())


async def _cancel_when_gone(receive: Receive, work: "asyncio.Future[Result]") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # a body that the endpoint does not want
    work.cancel()
