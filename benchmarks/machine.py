"""The machine of a run: processors, memory, system, versions."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psutil
from pydantic.dataclasses import dataclass

LIBRARIES: Final = ("ray", "confluent-kafka", "psycopg", "orjson", "pydantic", "fastapi", "opensearch-py")
ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine of a run; `load` is its load average when the run began."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    load: float
    versions: dict[str, str]


def this_machine() -> Machine:
    """Read the machine's properties."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 0,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        load=round(os.getloadavg()[0], 2),
        versions={name: version(name) for name in LIBRARIES},
    )


def commit() -> str:
    """Return the short id of the source's commit, with `+` when tracked files differ from it."""
    try:
        head = _git("rev-parse", "--short", "HEAD").strip()
        changed = _git("status", "--porcelain", "--untracked-files=no").strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # an unpacked archive
    return head + "+" if changed else head


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
