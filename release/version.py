"""The version: stated in pyproject.toml, repeated where a reader or a tool needs it as text.

`python -m release.version` prints it once every place agrees; with a version it writes that one everywhere.
Packages ask `importlib.metadata` for it instead.
"""

import re
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
SOURCE: Final = "pyproject.toml"
PLACES: Final = (
    SOURCE,
    "helm/signals/Chart.yaml",
    "docker-compose.yml",
    "Dockerfile",
    "README.md",
    "docs/**/*.md",
    "tests/k8s/control_plane/golden/*.yaml",
)
"""Files that may repeat it, as patterns below the root."""
MENTION: Final = re.compile(
    r"""(^version\ =\ "|^version:\ |^appVersion:\ |app\.kubernetes\.io/version:\ "  # their own fields
    |customer-signals-copilot:|customer_signals_copilot-                        # tag of the image, wheel
    |\bsignals-|charts/signals\ --version\ )                                    # file of the chart
    (\d+\.\d+\.\d+)\b""",
    re.VERBOSE | re.MULTILINE,
)


def source_version(root: Path = ROOT) -> str:
    """Return what pyproject.toml states."""
    found = re.search(r'^version = "(.+)"$', (root / SOURCE).read_text(), re.MULTILINE)
    assert found, f"{SOURCE} states no version"
    return found[1]


def mentions(root: Path = ROOT) -> dict[str, list[str]]:
    """Return the versions that each file states, by its path; files without any are left out."""
    paths = [path for place in PLACES for path in sorted(root.glob(place))]
    found = {str(path.relative_to(root)): MENTION.findall(path.read_text()) for path in paths}
    return {path: [version for _, version in stated] for path, stated in found.items() if stated}


def disagreements(root: Path = ROOT) -> list[str]:
    """Return the files that state another version than pyproject.toml."""
    version = source_version(root)
    return [path for path, stated in mentions(root).items() if set(stated) != {version}]


def write_version(version: str, root: Path = ROOT) -> list[str]:
    """Write the version everywhere; return the files that changed."""
    changed = []
    for name in mentions(root):
        path = root / name
        text = path.read_text()
        if (fresh := MENTION.sub(rf"\g<1>{version}", text)) != text:
            path.write_text(fresh)
            changed.append(name)
    return changed


def main() -> None:
    """Print the version, or write the one that was given."""
    if len(sys.argv) > 1:
        if not re.fullmatch(r"\d+\.\d+\.\d+", sys.argv[1]):
            sys.exit(f"{sys.argv[1]!r} is no version: write three numbers, such as 0.2.0")
        print(*write_version(sys.argv[1]), sep="\n")
    elif wrong := disagreements():
        sys.exit(
            f"not {source_version()}: {', '.join(wrong)}; run python -m release.version {source_version()}"
        )
    else:
        print(source_version())


if __name__ == "__main__":
    main()
