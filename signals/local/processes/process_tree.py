"""A process with its descendants: which they are, on which ports they listen, how the last of them end."""

import psutil

from signals.ray_node.variables import HOST

ADDRESSES = (HOST, "0.0.0.0")  # noqa: S104  # on which another program would take our connections
ORPHANS_LEAVE_WITHIN_S = 2.0
"""PostgreSQL's backends notice a dead postmaster within milliseconds; those that do not are killed."""
KILLED_WITHIN_S = 20.0
"""Until a killed process is gone, on a machine that is out of memory (guess)."""


def descendants(pid: int) -> list[psutil.Process]:
    """Return the process's children, their children and so on; none when it has ended."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill_survivors(family: list[psutil.Process]) -> None:
    """Kill those that do not leave by themselves, and wait until they are gone."""
    _, alive = psutil.wait_procs(family, timeout=ORPHANS_LEAVE_WITHIN_S)
    for process in alive:
        try:
            process.kill()  # psutil refuses when the pid has been reused
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, timeout=KILLED_WITHIN_S)  # until then it holds its ports and locks


def is_tree_listening_on(pid: int, port: int) -> bool:
    """Whether the process or a descendant accepts TCP connections on the port."""
    return any(_is_listening_on(one, port) for one in (psutil.Process(pid), *descendants(pid)))


def pids_listening_on(port: int) -> set[int]:
    """Return the processes that accept TCP connections on the port of the loopback address.

    Only as far as we may know: a socket without a pid is of a process that has just begun or ended, or of
    another account.
    """
    try:
        sockets = psutil.net_connections(kind="tcp4")
    except psutil.AccessDenied:  # macOS tells root alone
        return set()
    return {
        one.pid
        for one in sockets
        if one.pid and one.status == psutil.CONN_LISTEN and one.laddr in [(at, port) for at in ADDRESSES]
    }


def listeners(port: int) -> list[str]:
    """Return the programs that accept connections on the port, each with its pid, as far as we may know."""
    names = {pid: _name(pid) for pid in sorted(pids_listening_on(port))}
    return [f"{name} (pid {pid})" for pid, name in names.items() if name]


def port_taken(name: str, port: int, *, is_kept: bool) -> str:
    """Say by which program the port of a part is taken, and the remedy; `is_kept`: the part cannot move."""
    by = "".join(f" by {program}" for program in listeners(port)[:1])
    choice = "let `signals down` and `signals up` choose another" if is_kept else "choose another"
    return f"port {port} for {name} is in use{by}: stop what uses it, or {choice}"


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:  # it has ended meanwhile, or is another account's
        return ""


def _is_listening_on(process: psutil.Process, port: int) -> bool:
    try:
        sockets = process.net_connections(kind="tcp")
    except psutil.NoSuchProcess:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in sockets)
