"""The local stack on a disk without room: one sentence, and nothing is started."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from signals.local import stack
from signals.local.errors import LocalStackError


def test_too_little_room_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "FRESH_DATA_BYTES", 2**60)
    root = tmp_path / ".signals"
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SIGNALS_CACHE_DIR") if name in os.environ}
    with pytest.raises(LocalStackError, match="MB are needed: make room"):
        stack.up(root, environ=kept, console=Console(file=io.StringIO()))
    assert all(server.state == "stopped" for server in stack.status(root))
    stack.reset(root)
