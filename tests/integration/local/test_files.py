"""Files that survive a loss of power."""

import os
from pathlib import Path

import pytest

from signals.local.files import replace_file


def test_text_is_on_the_disk_before_it_replaces_the_former(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "file", list[tuple[int, str]]()
    path.write_text("former")
    monkeypatch.setattr(os, "fsync", lambda file: synced.append((os.fstat(file).st_size, path.read_text())))
    replace_file(path, "present")
    assert synced == [(len("present"), "former")]
    assert path.read_text() == "present"
