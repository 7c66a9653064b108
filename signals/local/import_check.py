"""Tries whether the code in the files can be imported: `python -m signals.local.import_check`.

A process of its own, because the one that asks keeps the modules that it has loaded.
"""

import subprocess
import sys
import traceback
from pathlib import Path
from pkgutil import resolve_name

from signals.clients.diagnosis import one_line
from signals.consumer_kinds import KINDS
from signals.local.errors import PUT_BACK, LocalStackError
from signals.local.ray_head import SERVE_CONFIG
from signals.local.rollout import ROOT
from signals.ray_node.serve_file import read_serve_file


def require_imports(folder: Path) -> None:
    """Import what the node's processes import; `folder` is where they run.

    Raises:
        LocalStackError: naming the error and its place.
    """
    argv = (sys.executable, "-m", "signals.local.import_check")
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        cause = done.stderr.strip().rpartition("\n")[2]
        raise LocalStackError(f"the new code cannot be imported ({cause}), the former goes on: {PUT_BACK}")


def _import_all() -> None:
    """Build each application of Serve's configuration, and load the class of each consumer."""
    for application in read_serve_file(SERVE_CONFIG)["applications"]:
        resolve_name(application["import_path"])(application["args"])
    for kind in KINDS:
        resolve_name(kind.actor)


def _described(error: Exception) -> str:
    """Return the error and the last line of ours that it passed, as one line."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [(Path(frame.filename), frame.lineno) for frame in frames]
    ours = [f", {path.relative_to(ROOT)}:{line}" for path, line in places if path.is_relative_to(ROOT)]
    return one_line(f"{type(error).__name__}: {error}{ours[-1]}")


if __name__ == "__main__":
    try:
        _import_all()
    except Exception as error:  # noqa: BLE001  # any fault of the new code becomes one sentence
        sys.exit(_described(error))
