"""A soak: traffic for long and one kill a minute, each kind of process in turn."""

import os
import time
from itertools import cycle
from typing import Final

from tests.support.waiting import pause, until
from tests.system.faults.memory import MemoryWatch, memory_lines
from tests.system.faults.processes import kill
from tests.system.faults.trial import Trial
from tests.system.faults.watched_stack import WatchedStack

EVENTS_PER_S: Final = 100.0
MINUTE_S: Final = 60.0
TABLE_MINUTES: Final = 5
WHOLE_WITHIN_S: Final = 300.0
VICTIMS: Final = (
    *("incident-engine", "postgres", "ingest replica", "indexer", "kafka", "core replica"),
    *("ai-worker", "opensearch", "HAProxy manager", "supervisor", "HAProxy", "Serve controller"),
)
"""One a minute. The first two are an actor and a server, so the short version covers both."""
SINGLE: Final = "HAProxy"  # several of them run while one takes over


def soak(stack: WatchedStack, running: Trial, watch: MemoryWatch, *, minutes: int) -> None:
    """Kill one process a minute and wait until all is well again, until the time is over; print both.

    A kill waits for the minute after the recovery from the one before.
    """
    began = time.monotonic()
    due, tables = 0.5, 1
    for kind in cycle(VICTIMS):
        pause(max(0.0, began + due * MINUTE_S - time.monotonic()))
        kill_one(stack, running, kind)
        until(lambda: not stack.unready(), within_s=WHOLE_WITHIN_S, every_s=0.5)
        seconds = running.recovered(within_s=WHOLE_WITHIN_S)
        now = (time.monotonic() - began) / MINUTE_S
        _print(
            f"minute {now:4.1f}: killed {kind}, whole after {seconds:.1f} s;"
            f" {len(running.sent.acknowledged)} events acknowledged; load {os.getloadavg()[0]:.1f}"
        )
        if now >= tables * TABLE_MINUTES:
            _print(*memory_lines(watch.samples))
            tables = int(now / TABLE_MINUTES) + 1
        due = max(due + 1, int(now) + 0.5)
        if due > minutes:
            return


def kill_one(stack: WatchedStack, running: Trial, kind: str) -> None:
    """Kill the youngest process of a kind and wait for its successor.

    The youngest, so that the other one of a pair lives as long as the soak, and its memory shows.
    """
    before = until(lambda: _pids(stack, kind), within_s=WHOLE_WITHIN_S)
    victim = before[-1]
    wanted = 1 if kind == SINGLE else len(before)
    kill(victim)
    running.injected()

    def is_replaced() -> bool:
        pids = _pids(stack, kind)
        return victim not in pids and len(pids) >= wanted

    until(is_replaced, within_s=WHOLE_WITHIN_S, every_s=0.5)


def _pids(stack: WatchedStack, kind: str) -> list[int]:
    server = stack.server_pids().get(kind)
    if server is not None:
        return [server]
    return sorted(pid for pid, name in stack.product_pids().items() if name == kind)


def _print(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)
