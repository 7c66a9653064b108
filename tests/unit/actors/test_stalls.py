"""A loop that waits too long says where."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from actors.stalls import STALL_S, StallReport
from tests.support.waiting import until


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Thread]:
    """A thread that waits in `_wait_for_a_server`, which counts as a function of ours."""
    monkeypatch.setattr("actors.stalls.OURS", (Path(__file__).parent,))
    released = threading.Event()

    def _wait_for_a_server() -> None:
        released.wait()

    thread = threading.Thread(target=_wait_for_a_server)
    thread.start()
    yield thread
    released.set()
    thread.join()


def test_stall_is_told_with_its_place_and_logged_once(waiting: threading.Thread) -> None:
    report = StallReport("indexer-0", waiting)
    until(lambda: report.detail(STALL_S).endswith(" _wait_for_a_server"))  # the thread has come there
    with capture_logs() as lines:
        assert report.detail(STALL_S + 3).startswith("waits for 33 s in tests/unit/actors/test_stalls.py:")
        assert not report.detail(1.0)
        report.detail(STALL_S)
        report.detail(STALL_S + 3)
    (line,) = lines
    assert line["worker"] == "indexer-0"
    assert "threading.py:" in line["frames"][-1]  # the whole stack


@pytest.mark.parametrize("idle_s", [None, 0.0, STALL_S - 0.1])
def test_loop_that_comes_round_tells_nothing(waiting: threading.Thread, idle_s: float | None) -> None:
    with capture_logs() as lines:
        assert not StallReport("indexer-0", waiting).detail(idle_s)
    assert not lines
