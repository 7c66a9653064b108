"""The data folder of one stack (`.signals/`): what lies where, what is remembered between starts.

`lock`, `state.json` and `env` belong to the commands' account; the servers' own data belongs to their
account and may lie elsewhere when that account cannot reach this folder.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

from signals.local.errors import LocalStackError
from signals.local.files import make_public_folder, replace_file
from signals.local.processes.account import ServerAccount, can_reach

ELSEWHERE = Path("/var/lib/customer-signals-copilot")
"""For root whose repository lies in a private folder such as /root."""


@dataclass(slots=True, kw_only=True)
class StackState:
    """Facts for a later start: ports, the database's password, and our own addresses."""

    data: str
    password: str
    ports: dict[str, int] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFolder:
    """Paths below the root of one stack."""

    root: Path

    @property
    def env_path(self) -> Path:
        """The environment file."""
        return self.root / "env"

    @property
    def state_path(self) -> Path:
        """The file of the stack's state; a folder without it holds no stack."""
        return self.root / "state.json"

    @property
    def ray_token_path(self) -> Path:
        """The file of the token for Ray's dashboard, job interface and nodes."""
        return self.root / "ray-token"

    def log_path(self, server: str) -> Path:
        """Output of the server's last start."""
        return self.root / "logs" / f"{server}.log"

    def pid_path(self, server: str) -> Path:
        """Which process the server is."""
        return self.root / "run" / f"{server}.json"

    def names_with_pid(self) -> list[str]:
        """The names of the processes that left a pid file."""
        return sorted(path.stem for path in (self.root / "run").glob("*.json"))

    def is_stack(self) -> bool:
        """Whether a stack has ever been started here."""
        return self.state_path.exists()

    def load(self) -> StackState | None:
        """The stored state, None before the first start."""
        try:
            return StackState(**json.loads(self.state_path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise LocalStackError(
                f"{self.state_path} is damaged: start over with `signals stack reset`"
            ) from error

    def save(self, state: StackState) -> None:
        """Remember."""
        replace_file(self.state_path, json.dumps(asdict(state), indent=2) + "\n")

    def choose_data(self, account: ServerAccount | None) -> Path:
        """Where the servers' data goes: in here, or elsewhere when their account cannot come in."""
        inside = self.root / "data"
        make_public_folder(inside)
        if can_reach(account, inside):
            return inside
        outside = self._outside
        make_public_folder(outside)
        if not can_reach(account, outside):
            raise LocalStackError(
                f"the account '{account.name if account else ''}' can reach neither {inside} nor {outside}: "
                "clone to a folder that it can enter"
            )
        return outside

    def wipe(self) -> None:
        """Delete what a stack has put here or elsewhere, and the folder itself when nothing else is in it."""
        for folder in (self._outside, self.root / "data", self.root / "logs", self.root / "run"):
            if folder.exists():
                shutil.rmtree(folder)
        for path in (self.env_path, self.ray_token_path, self.state_path, self.root / "lock"):
            path.unlink(missing_ok=True)
        if not any(self.root.iterdir()):
            self.root.rmdir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands on this folder out.

        Raises:
            LocalStackError: another command is at work.
        """
        file = self._lock_now()
        while not self._is_lock(file):  # `stack reset` deleted it while we opened it
            file.close()
            file = self._lock_now()
        with file:
            yield

    def _lock_now(self) -> TextIO:
        make_public_folder(self.root)
        try:
            file = (self.root / "lock").open("w")
        except PermissionError as error:
            if self.root.stat().st_uid == os.geteuid():
                raise  # ours, and not writable
            raise LocalStackError(
                f"{self.root} belongs to another account: run as that one, or use another folder"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise LocalStackError(
                f"another command is at work on {self.root}: wait until it is done"
            ) from error
        return file

    def _is_lock(self, file: TextIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), (self.root / "lock").stat())
        except FileNotFoundError:
            return False

    @property
    def _outside(self) -> Path:
        return ELSEWHERE / hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
