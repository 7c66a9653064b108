"""The servers' output, as it was and as it comes."""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

LOOK_S = 0.2


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a log, without their ends."""
    with path.open(errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=count)]


def follow(paths: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Yield (name, line) as lines are written, without end; a log that starts anew is read from its start."""
    files: dict[str, tuple[int, TextIO]] = {}
    try:
        for name, path in paths.items():
            file: TextIO = path.open(errors="replace")
            file.seek(0, 2)
            files[name] = (path.stat().st_ino, file)
        while True:
            for name, path in paths.items():
                inode, file = files[name]
                for line in file:
                    yield name, line.rstrip("\n")
                if path.exists() and path.stat().st_ino != inode:
                    file.close()
                    files[name] = (path.stat().st_ino, path.open(errors="replace"))
            time.sleep(LOOK_S)
    finally:
        for _, file in files.values():
            file.close()
