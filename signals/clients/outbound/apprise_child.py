"""The child process that sends one message through Apprise: `python -I -m` this module, a task on stdin.

It limits itself before it reads the address: memory, files, processes, and connections by the same table of
addresses as every other message. It sees Python's calls only; a C library that connects by itself would pass,
so that services which use one are not offered (`signals/domain/notifications/apprise_urls.py`).
"""

import json
import logging
import os
import re
import resource
import signal
import socket
import sys
import tempfile
from typing import Any, Final

import apprise
from apprise.common import PersistentStoreMode

from signals.domain.notifications.addresses import AllowList, parse_address, refusal

MEMORY_BYTES: Final = 1 << 29  # of addresses; Apprise with its plugins uses 200 MB of them, 60 MB resident
OPEN_FILES: Final = 64
STATUS: Final = re.compile(r"\berror=([1-5]\d\d)\b")
FORBIDDEN: Final = (
    "subprocess.", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork", "os.kill", "pty.",
    "ctypes.", "socket.bind", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink",
    "os.truncate", "os.chmod", "os.chown", "shutil.",
)  # fmt: skip
"""Audit events by their beginnings. Source: https://docs.python.org/3/library/audit_events.html"""
READABLE: Final = (sys.prefix, sys.base_prefix, "/usr/share/zoneinfo", "/etc/mime.types", os.devnull)
WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Refused(PermissionError):  # noqa: N818  # reads as what happened
    """Apprise wanted something that a message does not need."""


class AddressGuard:
    """Checks what names resolve to, and where connections go; `reason` is the last refusal."""

    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed
        self._look_up = socket.getaddrinfo
        self._checked: set[str] = set()
        self.reason: str | None = None

    def look_up(self, host: Any, *arguments: Any, **options: Any) -> Any:
        """Resolve a name in the place of `socket.getaddrinfo`; every answer must pass."""
        answers = self._look_up(host, *arguments, **options)
        addresses = {str(answer[4][0]) for answer in answers}
        self._check(str(host), addresses)
        self._checked |= addresses
        return answers

    def connecting(self, address: Any) -> None:
        """Check the very address of a connection, or of a datagram.

        Raises:
            Refused: when it is a file, a name, or not public and not allowed.
        """
        if not isinstance(address, tuple):
            raise Refused("no destination is a file of ours")
        host = str(address[0])
        if host not in self._checked:
            self._check(host, {host})

    def _check(self, host: str, addresses: set[str]) -> None:
        try:
            reason = refusal(host, [parse_address(one) for one in addresses], self._allowed)
        except ValueError:
            reason = "the host was not looked up"
        if reason is not None:
            self.reason = reason
            raise Refused(reason)


def limit_process(timeout_s: float) -> None:
    """Bound memory and files, write none, and end at the deadline even without a parent."""
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    signal.setitimer(signal.ITIMER_REAL, timeout_s)


def install(guard: AddressGuard) -> None:
    """Put the guard before every look-up, connection, file and process from now on; it cannot be removed."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            if arguments[1] is not None:  # None: a datagram of a connected socket
                guard.connecting(arguments[1])
        elif event == "open":
            check_file(*arguments)
        elif event.startswith(FORBIDDEN):
            raise Refused(event)

    socket.getaddrinfo = guard.look_up
    sys.addaudithook(hook)


def check_file(path: Any, _mode: Any, flags: int) -> None:
    """Let Python's own files be read, and no other.

    Raises:
        Refused: naming none.
    """
    if isinstance(path, int):
        return
    found = os.path.realpath(os.fsdecode(path))
    is_known = any(found == one or found.startswith(f"{one}/") for one in READABLE)
    if flags & WRITING or not is_known:
        raise Refused("no file is needed")


class Statuses(logging.Handler):
    """Finds the status that a service answered: Apprise says it in its log alone."""

    def __init__(self) -> None:
        super().__init__()
        self.last: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the status of a record."""
        found = STATUS.search(record.getMessage())
        if found is not None:
            self.last = int(found.group(1))


def send(task: dict[str, Any], guard: AddressGuard) -> dict[str, Any]:
    """Send the message and return its outcome: state, and a status or an error that quotes no address."""
    statuses = Statuses()
    log = logging.getLogger("apprise")
    log.setLevel(logging.WARNING)
    log.addHandler(statuses)
    asset = apprise.AppriseAsset(
        app_id="Customer Signals Copilot",
        async_mode=False,
        http_redirects=False,
        storage_mode=PersistentStoreMode.MEMORY,
    )
    service = apprise.Apprise.instantiate(task["url"], asset=asset, suppress_exceptions=True)
    if service is None:
        return {
            "state": "refused",
            "error": "Apprise cannot read the address; compare it with its service's page",
        }
    kind = apprise.NotifyType.SUCCESS if task["is_over"] else apprise.NotifyType.FAILURE
    service.socket_connect_timeout = service.socket_read_timeout = task["timeout_s"]
    try:
        told = service.notify(
            title=task["title"], body=task["body"], notify_type=kind, body_format=apprise.NotifyFormat.TEXT
        )
    except Exception:  # noqa: BLE001  # a plugin's text may quote the address
        told = False
    if told:
        return {"state": "told"}
    if guard.reason is not None:
        return {"state": "refused", "error": guard.reason}
    if statuses.last is not None and not 200 <= statuses.last < 300:
        return {"state": "refused", "status": statuses.last}
    return {"state": "retry", "error": "the service was not reached, or gave no answer that Apprise knows"}


def main() -> None:
    """Read the task, send it, and write its outcome."""
    answers = os.dup(1)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    task = json.load(sys.stdin.buffer)
    tempfile.tempdir = os.devnull  # else Apprise looks for a folder by writing into some
    apprise.Apprise.instantiate("json://localhost", suppress_exceptions=True)  # loads the plugins
    guard = AddressGuard(AllowList.parse(task["allowed"]))
    limit_process(task["timeout_s"])
    install(guard)
    outcome = send(task, guard)
    os.write(answers, json.dumps(outcome).encode())


if __name__ == "__main__":
    main()
