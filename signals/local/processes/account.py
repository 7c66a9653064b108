"""The unprivileged account that servers run under when we are root.

PostgreSQL and OpenSearch refuse to run as root. As an ordinary user everything runs as that user and this
module has nothing to do.
"""

import os
import pwd
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from signals.local.errors import LocalStackError

ACCOUNT_NAME = "nobody"
"""Exists on every Unix; initdb needs an account that has a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAccount:
    """An account to drop to."""

    name: str
    uid: int
    gid: int


def account_to_drop_to() -> ServerAccount | None:
    """The account for the servers, or None when we are not root and need not drop.

    Raises:
        LocalStackError: we are root and the account does not exist.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(ACCOUNT_NAME)
    except KeyError as error:
        raise LocalStackError(
            f"servers must not run as root and there is no account '{ACCOUNT_NAME}': run as an ordinary user"
        ) from error
    return ServerAccount(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)


def can_reach(account: ServerAccount | None, path: Path) -> bool:
    """Whether the account may read the path, every folder above it included.

    Raises:
        LocalStackError: the system does not let us drop privileges at all.
    """
    if account is None:
        return os.access(path, os.R_OK)
    try:
        asked = subprocess.run(  # only the kernel knows the whole answer (ACLs, mounts, capabilities)
            ["test", "-r", str(path)],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            check=False,
        )
    except OSError as error:
        raise LocalStackError(
            f"root may not start programs as '{account.name}' ({error.strerror}): run as an ordinary user"
        ) from error
    return asked.returncode == 0


def hand_over(account: ServerAccount | None, folder: Path) -> None:
    """Make the folder if need be (mode 0700) and give it to the account, with everything in it.

    Raises:
        LocalStackError: it belongs to another account and we are not root.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner_uid = folder.stat().st_uid
    if account is None:
        if owner_uid != os.geteuid():
            raise LocalStackError(f"{folder} belongs to uid {owner_uid}: remove it, or run as that user")
        return
    for path in (folder, *_everything_below(folder)):
        if path.lstat().st_uid != account.uid:
            os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _everything_below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in folders + files)
