#!/usr/bin/env python3
"""dockerfile.py PARSER CONTEXT BASE OUT: carries out CONTEXT/Dockerfile in folders, as root, without engine.

BASE stands in for every image from a registry. OUT/rootfs becomes the last stage and OUT/config.json its
configuration. What a slow RUN left is kept in OUT/kept, and found again while nothing before it has changed.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SLOW_S = 10.0
PASSED_ON = (
    "PIP_",
    "UV_",
    "SSL_",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)
"""How this machine reaches the registries, and whom it trusts."""
MOUNTS = """\
root=$1; shift
mount --bind /dev "$root/dev" && mount -t proc proc "$root/proc"
for path in /etc/resolv.conf /etc/ssl/certs; do
  [ ! -e "$root$path" ] || mount --bind -o ro "$path" "$root$path"
done
exec chroot "$root" "$@"
"""
"""In a mount namespace of its own: nothing stays mounted afterwards."""


def main() -> None:
    """Build, and say where the megabytes are."""
    parser, context, base, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    text = subprocess.run([parser, context / "Dockerfile"], check=True, capture_output=True, text=True).stdout
    parsed = json.loads(text)
    if parsed["warnings"]:
        sys.exit("\n".join(parsed["warnings"]))
    build = Build(context=context, base=base, out=out)
    for stage in parsed["stages"]:
        build.stage(stage)
    rootfs = build.stages[parsed["stages"][-1]["name"]]
    shutil.rmtree(out / "rootfs", ignore_errors=True)
    rootfs.rename(out / "rootfs")
    (out / "config.json").write_text(json.dumps(parsed["config"]))
    shutil.rmtree(out / "stages")
    build.forget()
    before, after = size_bytes(base), size_bytes(out / "rootfs")
    print(f"dockerfile.py: {(after - before) / 1e6:.0f} MB on a base of {before / 1e6:.0f} MB")


class Build:
    """Stages as folders, by name."""

    def __init__(self, *, context: Path, base: Path, out: Path) -> None:
        self.context, self.base, self.out = context, base, out
        self.stages: dict[str, Path] = {}
        self.keys: dict[str, str] = {}
        self.used: set[str] = set()
        shutil.rmtree(out / "stages", ignore_errors=True)
        (out / "stages").mkdir(parents=True)
        (out / "kept").mkdir(exist_ok=True)

    def stage(self, stage: dict[str, Any]) -> None:
        """Carry out the steps after the last one whose result is kept."""
        root = self.out / "stages" / (stage["name"] or "last")
        workdirs, keys = ["/"], [stage["base"] + str((self.base / "etc/os-release").stat().st_mtime)]
        for step in stage["steps"] or ():
            workdirs.append(step["words"][0] if step["kind"] == "WORKDIR" else workdirs[-1])
            keys.append(
                hashlib.sha256(
                    "".join((keys[-1], json.dumps(step), self._content(step))).encode()
                ).hexdigest()
            )
        done = max((n for n, key in enumerate(keys) if (self.out / "kept" / key).exists()), default=0)
        start = self.out / "kept" / keys[done] if done else self.stages.get(stage["base"], self.base)
        self.used |= {keys[done]}
        clone(start, root)
        for number in range(done, len(stage["steps"] or ())):
            began = time.monotonic()
            self._carry_out(stage["steps"][number], root, workdirs[number + 1])
            if time.monotonic() - began > SLOW_S:
                clone(root, self.out / "kept" / keys[number + 1])
                self.used |= {keys[number + 1]}
        self.stages[stage["name"]], self.keys[stage["name"]] = root, keys[-1]

    def forget(self) -> None:
        """Remove what was kept and is of no use any more."""
        for folder in (self.out / "kept").iterdir():
            if folder.name not in self.used:
                shutil.rmtree(folder)

    def _carry_out(self, step: dict[str, Any], root: Path, workdir: str) -> None:
        words = step["words"]
        if step["kind"] == "WORKDIR":
            inside(root, workdir).mkdir(parents=True, exist_ok=True)
        elif step["kind"] == "COPY":
            target = inside(root, str(Path(workdir) / words[-1]))
            for source in self._sources(step):
                copy(source, target, into=words[-1].endswith("/"), mode=step.get("mode"))
        else:
            ours = [f"{name}={value}" for name, value in os.environ.items() if name.startswith(PASSED_ON)]
            command = ["env", "-i", f"--chdir={workdir}", "HOME=/root", *ours, *step["environ"], *words]
            subprocess.run(["unshare", "--mount", "sh", "-ec", MOUNTS, "sh", root, *command], check=True)

    def _sources(self, step: dict[str, Any]) -> list[Path]:
        place = self.stages[step["from"]] if step.get("from") else self.context
        return [inside(place, word) for word in step["words"][:-1]]

    def _content(self, step: dict[str, Any]) -> str:
        if step["kind"] != "COPY":
            return ""
        if step.get("from"):
            return self.keys[step["from"]]
        digest = hashlib.sha256()
        for source in self._sources(step):
            for path in sorted(files(source)):
                digest.update(f"{path} {path.stat().st_mode}".encode() + path.read_bytes())
        return digest.hexdigest()


def inside(root: Path, path: str) -> Path:
    """The place of an absolute or relative path below the root."""
    return root / path.strip("/")


def files(path: Path) -> Iterator[Path]:
    """The file, or all files of a folder that belong to the context."""
    if path.is_file():
        yield path
        return
    yield from (one for one in path.rglob("*") if one.is_file() and "__pycache__" not in one.parts)


def copy(source: Path, target: Path, *, into: bool, mode: str | None) -> None:
    """COPY's way: of a folder goes the content; into a folder when its name ends so."""
    if source.is_dir():
        clone(source, target)
        return
    place = target / source.name if into or target.is_dir() else target
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, place)
    if mode:
        place.chmod(int(mode, 8))


def clone(source: Path, target: Path) -> None:
    """A copy with owners, modes and links; what is there already stays."""
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", f"{source}/.", target], check=True)


def size_bytes(folder: Path) -> int:
    """Of all files, each once."""
    found = map(os.lstat, folder.rglob("*"))
    return sum(size for _, size in {(one.st_ino, one.st_size) for one in found})


if __name__ == "__main__":
    main()
