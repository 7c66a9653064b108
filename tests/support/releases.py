"""The code of three releases: the one before, the present one, and one after it that only tests know."""

import subprocess
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Final

from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import open_client
from signals.local.rollout import PACKAGES
from signals.settings import OpenSearchSettings

ROOT: Final = Path(__file__).parents[2]
MIGRATIONS: Final = "signals/migrations/"
NEXT_SCHEMA: Final = b"""-- Only a test knows this one.
ALTER TABLE incidents ADD COLUMN trial text NOT NULL DEFAULT '';
CREATE INDEX incidents_trial ON incidents (project_id, trial);
CREATE TABLE pipeline.trial (id bigint PRIMARY KEY, note text NOT NULL);
"""
NEXT_NAME: Final = "Customer Signals Copilot, next"
CHANGES: Final = {
    "signals/clients/opensearch/index.py": [
        ("INDEX_VERSION: Final = 3", "INDEX_VERSION: Final = 4"),
        ("LABELLED_VERSION: Final = 2", "LABELLED_VERSION: Final = 4"),
        ('"labels": KEYWORD,', '"labels": KEYWORD, "trial": KEYWORD,'),
    ],
    "serve_apps/core/about.py": [("Customer Signals Copilot", NEXT_NAME)],
}

Code = Mapping[str, bytes]
"""The product's files with their content, by path."""


def files_of(root: Path) -> dict[str, bytes]:
    """Return the product's files below a folder."""
    found = (path for package in PACKAGES for path in (root / package).rglob("*"))
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in found
        if path.is_file() and "__pycache__" not in path.parts
    }


def present_code() -> dict[str, bytes]:
    """Return the code that is being tested."""
    return files_of(ROOT)


def install(code: Code, folder: Path) -> None:
    """Put code in the place of other code, file by file, as `git checkout` does."""
    for name, content in code.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
    for name in files_of(folder).keys() - code.keys():
        (folder / name).unlink()


def with_line(name: str, line: str) -> dict[str, bytes]:
    """Return the present code with a line more at the end of a file."""
    code = present_code()
    return code | {name: code[name] + f"{line}\n".encode()}


def with_migration(statements: bytes, name: str) -> dict[str, bytes]:
    """Return the present code with a migration more, whose name no other test's migration has."""
    code = present_code()
    newest = max(name for name in code if name.startswith(MIGRATIONS) and name.endswith(".sql"))
    depends = newest.removeprefix(MIGRATIONS).removesuffix(".sql").encode()
    return code | {f"{MIGRATIONS}{name}.sql": b"-- depends: %s\n%s" % (depends, statements)}


def _edited(code: Code, name: str, old: str, new: str) -> dict[str, bytes]:
    """Return the code with one text replaced in a file."""
    assert code[name].count(old.encode()) == 1, f"{name} has {old!r} elsewhere now: correct this module"
    return {**code, name: code[name].replace(old.encode(), new.encode())}


def next_code() -> dict[str, bytes]:
    """Return the code of a release after this one."""
    code = with_migration(NEXT_SCHEMA, "9998.next")
    for name, changes in CHANGES.items():
        for old, new in changes:
            code = _edited(code, name, old, new)
    return code


def has_next_field(settings: OpenSearchSettings) -> bool:
    """Whether the release after this one has changed the index."""
    with open_client(settings) as client:
        (found,) = client.indices.get_mapping(index=EVENTS_INDEX).values()
    return "trial" in found["mappings"]["properties"]


def former_code() -> tuple[str, dict[str, bytes]]:
    """Return the newest commit whose schema lacks migrations of the present one, and its code.

    Raises:
        AssertionError: the history does not reach so far back.
    """
    now = {name for name in present_code() if name.startswith(MIGRATIONS) and name.endswith(".sql")}
    for changed in _git("log", "--format=%H", "--", MIGRATIONS).split():
        before = _former(changed, now)
        if before:
            packed = _git_bytes("archive", before, *PACKAGES)
            with tarfile.open(fileobj=BytesIO(packed)) as archive:
                files = {member.name: archive.extractfile(member) for member in archive if member.isreg()}
                return before, {name: file.read() for name, file in files.items() if file}
    raise AssertionError(
        "no commit with fewer migrations is known: get the history by `git fetch --unshallow`"
    )


def _former(changed: str, now: set[str]) -> str:
    """Return the commit before this one if its migrations are some of the present ones."""
    before = _git("rev-list", "--parents", "--max-count=1", changed).split()[1:2]
    if not before:
        return ""
    names = _git("ls-tree", "--name-only", before[0], MIGRATIONS).split()
    known = {name for name in names if name.endswith(".sql")}
    return before[0] if known < now else ""


def _git(*words: str) -> str:
    return _git_bytes(*words).decode()


def _git_bytes(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True).stdout
