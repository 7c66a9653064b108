"""Files that a reader sees old or new, never half written, and folders that other accounts may enter."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

from signals.local.errors import LocalStackError


def replace_file(path: Path, text: str, mode: int = 0o600) -> None:
    """Write the text beside the path, then move it there in one step."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    fresh = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # else a loss of power leaves it empty in its place
        fresh.chmod(mode)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def make_public_folder(path: Path) -> None:
    """Make the folder and its missing parents readable by every account, under any umask."""
    if not path.exists():
        make_public_folder(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(0o755)


def make_private_folder(path: Path) -> None:
    """Make an empty folder that only we can enter, at a place where anybody might have been first.

    Raises:
        LocalStackError: something is there that we did not make.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError as error:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise LocalStackError(
                f"{path} is not ours (uid {found.st_uid}): remove it and try again"
            ) from error
        path.chmod(0o700)
        for entry in path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def make_tree_public(folder: Path) -> None:
    """Let every account enter the folder and those below it, under any umask."""
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(0o755)


def require_space(folder: Path, needed_bytes: int) -> None:
    """Make sure that a file system has room.

    Raises:
        LocalStackError: it has not.
    """
    problem = shortage(folder, needed_bytes)
    if problem is not None:
        raise LocalStackError(problem)


def shortage(folder: Path, needed_bytes: int) -> str | None:
    """The error's text when a file system has too little room, else None."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes >= needed_bytes:
        return None
    return f"{folder} has {free_bytes // 2**20} MB free and {needed_bytes // 2**20} MB are needed: make room"


def move_into_place(folder: Path, place: Path) -> None:
    """Rename a finished folder; when another process was first, its folder stays."""
    try:
        folder.rename(place)
    except OSError:
        if not place.exists():
            raise
