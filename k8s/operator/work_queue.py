"""Schedules passes over objects: one at a time for each, at once after a change, later again.

Decides nothing about objects and knows no kopf. A failed pass is repeated with growing delays.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from k8s.operator.cluster import ClusterRefused, ClusterUnavailable

FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 60.0  # the interval between passes without changes
COALESCE_S: Final = 0.2  # guess: a change of one object mostly comes with changes of others
WORKERS: Final = 4  # guess: passes wait for the API server, not for a processor

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One stack or scenario."""

    kind: str
    namespace: str
    name: str


def retry_delay_s(failures: int, jitter: float) -> float:
    """Return how long to wait after so many failures in a row; `jitter` is between 0 and 1."""
    return float(min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** min(failures - 1, 10)) * (0.5 + jitter / 2))


class WorkQueue:
    """Calls `work` in a thread for each due key; it returns the delay to the next pass, or None."""

    def __init__(self, work: Callable[[Key], timedelta | None]) -> None:
        self._work = work
        self._due: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._active: dict[Key, asyncio.Task[None]] = {}
        self._changed: set[Key] = set()  # changed while a pass over them was under way
        self._news = asyncio.Event()

    def add(self, key: Key) -> None:
        """Schedule a pass over this object."""
        if key in self._active:
            self._changed.add(key)
        else:
            self._schedule(key, COALESCE_S)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                wait_s = self._start_what_is_due()
                self._news.clear()
                try:
                    await asyncio.wait_for(self._news.wait(), wait_s)
                except TimeoutError:
                    continue
        finally:
            for task in self._active.values():
                task.cancel()

    def _start_what_is_due(self) -> float | None:
        """Start due passes; return the delay until the next, None until a change."""
        now = asyncio.get_running_loop().time()
        for key in sorted(self._due, key=lambda key: self._due[key]):
            if len(self._active) >= WORKERS:
                return None  # the end of a pass counts as a change
            if self._due[key] > now:
                return self._due[key] - now
            del self._due[key]
            self._active[key] = asyncio.create_task(self._pass(key))
        return None

    async def _pass(self, key: Key) -> None:
        try:
            again_in = await asyncio.to_thread(self._work, key)
        except (ClusterUnavailable, ClusterRefused) as error:
            self._failed(key, str(error))
        except Exception as error:  # a defect in one pass must not stop the others
            log.exception("pass crashed", kind=key.kind, name=key.name, namespace=key.namespace)
            self._failed(key, type(error).__name__)
        else:
            self._failures.pop(key, None)
            if again_in is not None:
                self._schedule(key, again_in.total_seconds())
        finally:
            del self._active[key]
            if key in self._changed:
                self._changed.discard(key)
                self._schedule(key, COALESCE_S)
            self._news.set()

    def _failed(self, key: Key, reason: str) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay_s = retry_delay_s(failures, random.random())
        log.warning(
            "pass failed",
            kind=key.kind,
            name=key.name,
            namespace=key.namespace,
            reason=reason,
            again_in_s=round(delay_s, 1),
        )
        self._schedule(key, delay_s)

    def _schedule(self, key: Key, in_s: float) -> None:
        due = asyncio.get_running_loop().time() + in_s
        self._due[key] = min(due, self._due.get(key, due))
        self._news.set()
