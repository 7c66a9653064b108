"""Builds what a release publishes into dist/: sdist, wheel, chart and SHA256SUMS. Run by `make release`.

The same commit gives the same bytes: every time in the files is that of the commit (SOURCE_DATE_EPOCH,
https://reproducible-builds.org/specs/source-date-epoch/).
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from release.chart import pack_chart
from release.version import ROOT, disagreements, source_version

SUMS: Final = "SHA256SUMS"


def build(root: Path, out: Path, *, epoch_s: int) -> list[Path]:
    """Build all files of a release from a source tree into an empty folder; return them in order."""
    backend = Path(sys.executable).parent / "hatchling"
    subprocess.run(
        [backend, "build", "-t", "sdist", "-t", "wheel", "-d", out],
        cwd=root,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch_s)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    pack_chart(root / "helm" / "signals", out, version=source_version(root), epoch_s=epoch_s)
    files = sorted(out.iterdir())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (out / SUMS).write_text("".join(lines))
    return [*files, out / SUMS]


def main() -> None:
    """Build from the commit that is checked out, and from nothing else."""
    if changed := _git("status", "--porcelain"):
        sys.exit(f"a release is built from a commit; commit or remove first:\n{changed}")
    if wrong := disagreements():
        sys.exit(f"these files state another version than pyproject.toml: {', '.join(wrong)}")
    out = ROOT / "dist"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    for path in build(ROOT, out, epoch_s=int(_git("log", "-1", "--format=%ct"))):
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1e3:,.0f} kB")


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
