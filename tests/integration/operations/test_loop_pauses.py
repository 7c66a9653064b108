"""How long a consumer's loop pauses between sessions that fail one after the other."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg_pool import ConnectionPool
from structlog.testing import capture_logs

from actors import loop as looping
from actors.loop import ConsumerLoop
from signals.clients.postgres import Connection
from signals.errors import DependencyUnavailable
from tests.support.waiting import until

FIRST_PAUSE_S = 0.01
SESSIONS = 5


class FailingSession:
    """Takes steps that handle so many records, and fails once it has lasted so long."""

    def __init__(self, *, handled: int, lasts_s: float) -> None:
        self._handled = handled
        self._ends_at = time.monotonic() + lasts_s
        self._steps = 0

    def step(self, timeout_s: float) -> int:
        if self._steps and time.monotonic() > self._ends_at:
            raise DependencyUnavailable("OpenSearch", "it refuses")
        self._steps += 1
        return self._handled

    def owned(self) -> list[int]:
        return []

    def lag(self) -> int | None:
        return None

    def detail(self) -> str:
        return ""


@pytest.mark.parametrize(
    ("handled", "lasts_s", "max_pause_s", "growing"),
    [(0, 0.0, 60.0, True), (1, 0.0, 60.0, False), (0, 0.1, 0.05, False)],
    ids=["nothing handled", "some handled", "idle and lasting"],
)
def test_pauses_grow_while_sessions_neither_handle_anything_nor_last(
    pool: ConnectionPool[Connection],
    monkeypatch: pytest.MonkeyPatch,
    handled: int,
    lasts_s: float,
    max_pause_s: float,
    growing: bool,
) -> None:
    monkeypatch.setattr(looping, "FIRST_PAUSE_S", FIRST_PAUSE_S)
    monkeypatch.setattr(looping, "MAX_PAUSE_S", max_pause_s)

    @contextmanager
    def session(_: threading.Event) -> Iterator[FailingSession]:
        yield FailingSession(handled=handled, lasts_s=lasts_s)

    with capture_logs() as logs:
        loop = ConsumerLoop("failing", "indexer", pool, session)
        try:
            until(lambda: len(_pauses(logs)) >= SESSIONS)
        finally:
            loop.stop()
            until(lambda: loop.has_ended)
    expected = [FIRST_PAUSE_S * (2**number if growing else 1) for number in range(SESSIONS)]
    assert _pauses(logs)[:SESSIONS] == pytest.approx(expected)


def _pauses(logs: Sequence[Mapping[str, Any]]) -> list[float]:
    return [line["pause_s"] for line in list(logs) if line["event"] == "backing off"]
