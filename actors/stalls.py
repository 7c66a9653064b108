"""Tells where a consumer's loop waits too long; a step that never ends shows nowhere else."""

import sys
import threading
import traceback
from pathlib import Path
from typing import Final

import structlog

ROOT: Final = Path(__file__).parents[1]
OURS: Final = (ROOT / "actors", ROOT / "signals")
STALL_S: Final = 30.0  # ordinary steps end within a second; the supervisor replaces an actor after 150 s

log = structlog.get_logger(__name__)


class StallReport:
    """Watches the thread of one loop. Used by one other thread."""

    def __init__(self, worker: str, thread: threading.Thread) -> None:
        self._worker = worker
        self._thread = thread
        self._is_logged = False

    def detail(self, idle_s: float | None) -> str:
        """Return how long the loop has not come round and where it waits; empty while it does.

        `idle_s` is the time since its last round, None before the first. The stack is logged once a stall.
        """
        frame = sys._current_frames().get(self._thread.ident or 0)  # public names give only one's own stack
        if idle_s is None or idle_s < STALL_S or frame is None:
            self._is_logged = False
            return ""
        frames = [_place(at) for at in traceback.extract_stack(frame)]
        if not self._is_logged:
            log.warning("the loop waits", worker=self._worker, idle_s=round(idle_s), frames=frames)
            self._is_logged = True
        ours = [place for place in frames if not place.startswith("/")]
        return f"waits for {idle_s:.0f} s in {(ours or frames)[-1]}"


def _place(at: traceback.FrameSummary) -> str:
    """Return file, line and function; a file of others has its whole path."""
    path = Path(at.filename)
    if any(path.is_relative_to(folder) for folder in OURS):
        path = path.relative_to(ROOT)
    return f"{path}:{at.lineno} {at.name}"
