"""A backup of a stopped local stack: one file with its servers' data, state and keys, and the way back.

The file is a gzipped tar archive of regular files and folders below `data/`, with `state.json`, `env` and
`ray-token`. It holds passwords and keys: it is written readable by its owner alone.
"""

import gzip
import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from signals.local.errors import LocalStackError, os_errors_reported
from signals.local.files import require_space
from signals.local.folder import StackFolder, StackState
from signals.local.processes.account import account_to_drop_to
from signals.local.servers.assembly import processes

DATA: Final = "data"
LEVEL: Final = 1  # of gzip: Kafka's and OpenSearch's files are compressed already


def backup(root: Path, file: Path) -> int:
    """Write what a stopped stack has stored to a new file; return its size in bytes.

    Raises:
        LocalStackError: a part of the stack still runs, there is none, or the file exists already.
    """
    folder = StackFolder(root=root.resolve())
    state = folder.load()
    if state is None:
        raise LocalStackError(f"{folder.root} holds no local stack: nothing was backed up")
    if file.exists():
        raise LocalStackError(f"{file} exists: choose another name")
    with os_errors_reported(file), folder.locked():
        running = [name for name, process in processes(folder).items() if process.is_running()]
        if running:
            raise LocalStackError(f"{', '.join(running)} still run: `signals down` first")
        handle, name = tempfile.mkstemp(dir=file.resolve().parent, prefix=f".{file.name}.")  # mode 0600
        try:
            with os.fdopen(handle, "wb") as raw:
                _write(folder, state, raw)
                raw.flush()
                os.fsync(raw.fileno())
            Path(name).rename(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    return file.stat().st_size


def restore(root: Path, file: Path) -> None:
    """Put a backup's stack into a folder that has none; `up` then starts it.

    Raises:
        LocalStackError: the folder holds a stack, or the file is no whole backup; nothing is left behind.
    """
    folder = StackFolder(root=root.resolve())
    if folder.is_stack():
        raise LocalStackError(f"{folder.root} holds a stack: `signals stack reset` deletes it")
    with os_errors_reported(file), folder.locked():
        data = folder.choose_data(account_to_drop_to())
        if any(data.iterdir()):
            raise LocalStackError(f"{data} holds data of a stack: move it away first")
        try:
            with _opened(file) as archive:
                needed = _unpacked_bytes(archive, folder)
            require_space(data, needed)
            with _opened(file) as archive:
                _unpack(archive, folder, data)
            state = folder.load()
            assert state is not None  # it has just been unpacked
            state.data = str(data)
            folder.save(state)
        except BaseException:
            folder.wipe()
            raise


def _write(folder: StackFolder, state: StackState, raw: IO[bytes]) -> None:
    with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=LEVEL) as archive:
        for path in _beside(folder).values():
            if path.exists():
                archive.add(path, arcname=path.name)
        archive.add(state.data, arcname=DATA)


def _beside(folder: StackFolder) -> Mapping[str, Path]:
    """Return the files beside the data, by their names in a backup."""
    paths = (folder.state_path, folder.env_path, folder.ray_token_path)
    return {path.name: path for path in paths}


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(file, "r:gz") as archive:
            yield archive
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise LocalStackError(f"{file} is no whole backup of a stack ({error}): take another one") from error


def _unpacked_bytes(archive: tarfile.TarFile, folder: StackFolder) -> int:
    """Return how much room the contents need; reads all of it, and so finds out whether it is whole."""
    beside, size, names = _beside(folder), 0, set[str]()
    for member in archive:
        inside = member.name == DATA or member.name.startswith(f"{DATA}/")
        if not (member.isreg() and member.name in beside) and not (
            inside and (member.isreg() or member.isdir())
        ):
            raise tarfile.TarError(f"it holds {member.name!r}")
        size += member.size
        names.add(member.name)
    missing = {folder.state_path.name, folder.env_path.name, DATA} - names
    if missing:
        raise tarfile.TarError(f"it lacks {', '.join(sorted(missing))}")
    return size


def _unpack(archive: tarfile.TarFile, folder: StackFolder, data: Path) -> None:
    for member in archive:
        if member.name in _beside(folder):
            archive.extract(member, folder.root, filter="tar")
        else:
            within = member.name.removeprefix(DATA).lstrip("/") or "."
            archive.extract(member.replace(name=within), data, filter="tar")  # refuses paths that lead out
