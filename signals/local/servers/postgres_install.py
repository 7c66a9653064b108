"""Where the PostgreSQL programs are: the user's folder, the system's, else downloaded ones."""

import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from signals.local.errors import LocalStackError
from signals.local.files import make_tree_public, move_into_place
from signals.local.processes.account import ServerAccount, can_reach
from signals.local.servers.artifacts import ArtifactCache, Bundle, read_lock

OLDEST_MAJOR = 14
"""The oldest release that still gets fixes."""
SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)
"""Debian and Homebrew keep the servers of several versions side by side, off PATH."""
BUNDLES = {
    artifact.folder: Bundle(name="postgresql", title="PostgreSQL", artifacts=(artifact,))
    for artifact in read_lock("postgres")
}
"""By platform."""
ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64v8", "arm64": "arm64v8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A folder with `initdb` and `postgres` of one major version."""

    bin: Path
    major: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSearch:
    """The user's choice of a PostgreSQL installation."""

    pg_bindir: str | None
    path: str


def find_installation(
    search: PostgresSearch, cache: ArtifactCache, account: ServerAccount | None, data_major: int | None
) -> Installation:
    """The first usable installation: `PG_BINDIR`, PATH, the system's folders, the download.

    Usable means: not too old, runnable by the account, and of the major version that made the data folder.

    Raises:
        LocalStackError: none is usable.
    """
    if search.pg_bindir:
        chosen = _inspect(Path(search.pg_bindir), account)
        if chosen is None or chosen.major < OLDEST_MAJOR:
            raise LocalStackError(
                f"PG_BINDIR={search.pg_bindir} holds no PostgreSQL {OLDEST_MAJOR} or newer that we can run"
            )
        candidates = iter([chosen])
    else:
        candidates = _installations(search, cache, account)
    for installation in candidates:
        if data_major in (None, installation.major):
            return installation
    raise LocalStackError(
        f"the data folder was made by PostgreSQL {data_major}, which is not found: "
        "set PG_BINDIR to its bin folder, or start over with `signals stack reset`"
    )


def _installations(
    search: PostgresSearch, cache: ArtifactCache, account: ServerAccount | None
) -> Iterator[Installation]:
    on_path = shutil.which("postgres", path=search.path)
    folders = [Path(on_path).resolve().parent] if on_path else []
    for pattern in SYSTEM_FOLDERS:
        folders += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    for folder in folders:
        found = _inspect(folder, account)
        if found is not None and found.major >= OLDEST_MAJOR:
            yield found
    yield _downloaded(cache, account)


def _inspect(folder: Path, account: ServerAccount | None) -> Installation | None:
    if not all(
        (folder / name).is_file() and can_reach(account, folder / name) for name in ("initdb", "postgres")
    ):
        return None
    said = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, check=False
    ).stdout
    version = re.search(r"\) (\d+)", said)
    return Installation(bin=folder, major=int(version[1])) if version else None


def _downloaded(cache: ArtifactCache, account: ServerAccount | None) -> Installation:
    kind = f"{sys.platform}-{ARCHITECTURES.get(platform.machine().lower(), '?')}"
    bundle = BUNDLES.get(kind)
    if bundle is None:
        raise LocalStackError(
            f"there is no ready-made PostgreSQL for {kind}: install it and set PG_BINDIR, or set DATABASE_URL"
        )
    archive = cache.home_of(bundle) / kind / bundle.artifacts[0].filename
    home = archive.parent / "unpacked"
    if not home.exists():
        _unpack(archive, home, cache)
    installation = _inspect(home / "bin", account)
    if installation is None:
        raise LocalStackError(
            f"the PostgreSQL in {home} does not run here: set PG_BINDIR, or set DATABASE_URL"
        )
    return installation


def _unpack(archive: Path, home: Path, cache: ArtifactCache) -> None:
    with cache.staging() as staging:
        with zipfile.ZipFile(archive) as jar:
            inner = next(name for name in jar.namelist() if name.endswith(".txz"))
            with jar.open(inner) as packed, tarfile.open(fileobj=packed, mode="r|xz") as files:
                files.extractall(staging / "unpacked", filter="data")
        make_tree_public(staging / "unpacked")
        move_into_place(staging / "unpacked", home)
