"""Files that a reader sees old or new, never half written, and folders that other accounts may enter."""

import os
import tempfile
from pathlib import Path


def replace_file(path: Path, text: str, mode: int = 0o600) -> None:
    """Write the text beside the path, then move it there in one step."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    fresh = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        fresh.chmod(mode)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def make_public_folder(path: Path) -> None:
    """Make the folder and its missing parents readable by every account, whatever the umask."""
    if not path.exists():
        make_public_folder(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(0o755)


def move_into_place(folder: Path, place: Path) -> None:
    """Rename a finished folder; when somebody else was first, theirs stays."""
    try:
        folder.rename(place)
    except OSError:
        if not place.exists():
            raise
