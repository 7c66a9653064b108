"""A loop that stands still says where."""

import threading
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from actors.stalls import STALL_S, StallReport
from tests.support.waiting import until


@pytest.fixture
def waiting() -> Iterator[threading.Thread]:
    """A thread that waits in `_wait_for_a_server`."""
    released, is_waiting = threading.Event(), threading.Event()

    def _wait_for_a_server() -> None:
        is_waiting.set()
        released.wait()

    thread = threading.Thread(target=_wait_for_a_server)
    thread.start()
    assert is_waiting.wait(60)
    yield thread
    released.set()
    thread.join()


def test_stall_is_told_with_its_place_and_logged_once(waiting: threading.Thread) -> None:
    report = StallReport("indexer-0", waiting)
    until(lambda: "threading.py" in report.detail(STALL_S))  # the thread is at most on its way there
    with capture_logs() as lines:
        assert report.detail(STALL_S + 3).startswith("stands still for 33 s at threading.py:")
        assert not report.detail(1.0)
        report.detail(STALL_S)
        report.detail(STALL_S + 3)
    (line,) = lines
    assert line["worker"] == "indexer-0"
    assert any("test_stalls.py" in at and "_wait_for_a_server" in at for at in line["frames"])


@pytest.mark.parametrize("idle_s", [None, 0.0, STALL_S - 0.1])
def test_loop_that_comes_round_tells_nothing(waiting: threading.Thread, idle_s: float | None) -> None:
    with capture_logs() as lines:
        assert not StallReport("indexer-0", waiting).detail(idle_s)
    assert not lines
