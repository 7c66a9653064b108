"""The recorded scenarios that come with the product, by name."""

from pathlib import Path
from typing import Final

_FOLDERS: Final = (
    Path(__file__).parent / "recorded",  # in an installed wheel
    Path(__file__).parents[1] / "fixtures" / "scenarios",  # in the source tree
)
_SUFFIX: Final = ".ndjson"


def recordings() -> dict[str, Path]:
    """Return the file of every recorded scenario by its name, such as `spike_errors`."""
    files = (path for folder in _FOLDERS for path in sorted(folder.glob(f"*{_SUFFIX}")))
    return {path.stem: path for path in files}


def recording(given: Path) -> Path:
    """Return the file itself, or the recorded scenario of that name where there is no such file."""
    return given if given.exists() else recordings().get(str(given), given)
