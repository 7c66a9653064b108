"""Packs the Helm chart as `helm package` does, with the same bytes each time. Needs no helm.

Source of the layout and of .helmignore: https://helm.sh/docs/topics/charts/
"""

import gzip
import tarfile
from fnmatch import fnmatch
from io import BytesIO
from pathlib import Path
from typing import Final

IGNORE: Final = ".helmignore"


def pack_chart(chart: Path, out: Path, *, version: str, epoch_s: int) -> Path:
    """Write `<name>-<version>.tgz` into `out`; every file in it carries the instant `epoch_s`."""
    target = out / f"{chart.name}-{version}.tgz"
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=epoch_s) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path in chart_files(chart):
            content = path.read_bytes()
            entry = tarfile.TarInfo(f"{chart.name}/{path.relative_to(chart).as_posix()}")
            entry.size, entry.mtime, entry.mode = len(content), epoch_s, 0o644
            archive.addfile(entry, BytesIO(content))
    return target


def chart_files(chart: Path) -> list[Path]:
    """Return what belongs into the archive, Chart.yaml first, as readers of a stream expect."""
    ignored = _patterns(chart)
    paths = [path for path in chart.rglob("*") if path.is_file()]
    kept = [path for path in paths if not _is_ignored(path.relative_to(chart), ignored)]
    return sorted(kept, key=lambda path: (path != chart / "Chart.yaml", path.as_posix()))


def _patterns(chart: Path) -> list[str]:
    lines = (line.strip() for line in (chart / IGNORE).read_text().splitlines())
    return [line.rstrip("/") for line in lines if line and not line.startswith("#")]


def _is_ignored(path: Path, patterns: list[str]) -> bool:
    """Whether a pattern names the file or a folder above it; none of ours has a slash inside."""
    return any(fnmatch(part, pattern) for part in path.parts for pattern in patterns)
