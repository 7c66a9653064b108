"""Packages that only a Ray worker leaves unloaded."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = "import actors, structlog, sys; print(bool(sys.modules.get('rich')))"


@pytest.mark.parametrize(("name", "has_rich"), [("default_worker.py", "False"), ("other.py", "True")])
def test_only_a_ray_worker_leaves_rich_unloaded(tmp_path: Path, name: str, has_rich: str) -> None:
    program = tmp_path / name
    program.write_text(PROGRAM)
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == has_rich
