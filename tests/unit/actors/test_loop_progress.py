"""The loop's own record of its rounds."""

from datetime import timedelta

import pytest

from actors.loop import LoopProgress


@pytest.mark.parametrize("change", [timedelta(hours=-3), timedelta(hours=3)])
def test_changed_clock_changes_no_idle_time(change: timedelta) -> None:
    progress = LoopProgress()
    assert progress.idle_s is None
    progress.last_poll_at = progress.note_poll() + change
    assert progress.idle_s is not None
    assert 0.0 <= progress.idle_s < 60.0
