"""Variables given as files: a folder with one file each, the way Kubernetes mounts a Secret."""

from pathlib import Path
from typing import Final

from signals.errors import SettingsError

VARIABLE: Final = "SIGNALS_SECRETS_DIR"
WANTED: Final = "set it to a folder that holds one file a variable, or leave it out"


def read_secret_files(folder: Path) -> dict[str, str]:
    """Return the text of each file in `folder` by the file's name, without surrounding white space.

    Hidden entries are Kubernetes' own: it swaps the link `..data` to put new versions of all files in place.

    Raises:
        SettingsError: naming `SIGNALS_SECRETS_DIR`, when the folder or one of its files cannot be read.
    """
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file()]
        return {path.name: path.read_text(encoding="utf-8").strip() for path in paths}
    except OSError as error:
        place = error.filename or folder
        raise SettingsError(f"{VARIABLE}: cannot read {place} ({error.strerror}): {WANTED}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{VARIABLE}: {folder} holds a file that is no UTF-8 text") from error


def file_bytes(path: str) -> bytes:
    """Return what is in a file; nothing when `path` is none that can be read, such as PEM text."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError):
        return b""
