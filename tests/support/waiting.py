"""Waiting on a condition with a deadline, never on time alone."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(condition: Callable[[], Found], *, within_s: float = 20.0, every_s: float = 0.05) -> Found:
    """Call `condition` until it returns something true, and return that.

    Raises:
        TimeoutError: when it stays false for `within_s`.
    """
    deadline = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"still {found!r} after {within_s} s")
        time.sleep(every_s)


def pause(seconds: float) -> None:
    """Let time pass where its length is the experiment (a fault that lasts), never to wait for something."""
    time.sleep(seconds)
