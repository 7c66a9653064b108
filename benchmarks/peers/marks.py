"""Marks that timed programs print for the harness. Standard library only: every environment imports it."""

import json
import os
import time


def now() -> tuple[float, float]:
    """Return the monotonic clock, which all processes share, and the processor time used with children."""
    user, system, children_user, children_system, _ = os.times()
    return time.monotonic(), user + system + children_user + children_system


def mark(name: str, *, events: int = 0, when: tuple[float, float] | None = None) -> None:
    """Print a mark with the current or a given instant."""
    at, cpu_s = when or now()
    print(json.dumps({"name": name, "at": at, "cpu_s": cpu_s, "events": events}), flush=True)


class FirstRecord:
    """Marks only the first record that the library delivers."""

    def __init__(self) -> None:
        self._seen = False

    def __call__(self) -> None:
        """Call with every record or batch, as early as the library allows."""
        if not self._seen:
            self._seen = True
            mark("first")


class Progress:
    """Marks the first record and then every thousandth: for peers whose windows close long after counting."""

    EVERY = 1_000

    def __init__(self) -> None:
        self._first = FirstRecord()
        self._seen = 0

    def __call__(self) -> None:
        """Call with every record."""
        self._first()
        self._seen += 1
        if self._seen % self.EVERY == 0:
            mark("progress", events=self._seen)
