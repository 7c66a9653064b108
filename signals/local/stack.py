"""The local stack as a whole: start, stop, look at, wipe.

Each server is replaced by the user's own when its address is in the environment; such a server is checked,
never started or stopped.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from signals.local.account import account_to_drop_to
from signals.local.assembly import SERVERS, Site, assemble, processes, site_in
from signals.local.environment import (
    DEFAULT_PORTS,
    MODEL_VARIABLES,
    address_variable,
    check_reachable,
    read_env_file,
    variables_for,
    write_env_file,
)
from signals.local.errors import LocalStackError
from signals.local.folder import StackFolder, State
from signals.local.ports import free_port, is_free
from signals.local.process import ChildProcess
from signals.local.progress import Progress
from signals.local.server import Server

SPACE_NEEDED_BYTES = 600 * 1024 * 1024
"""Downloads 150 MB, unpacked PostgreSQL 60 MB, first data 150 MB (measured), and room to work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStack:
    """A stack that is up."""

    environment: Mapping[str, str]
    servers: Mapping[str, Server]
    started: tuple[str, ...]
    notes: tuple[str, ...]


def up(
    root: Path, *, environ: Mapping[str, str], console: Console, ports: Mapping[str, int] | None = None
) -> RunningStack:
    """Start what is not running yet and write the environment file.

    `ports` are the user's wishes by server; a wish that cannot be had is an error, a default is not.

    Raises:
        LocalStackError: in one sentence, why not; what this call had started is stopped again.
    """
    folder = StackFolder(root=root.resolve())
    with _one_sentence_for_full_disk(root), folder.locked():
        known = read_env_file(folder.env_path)
        own = [name for name in SERVERS if _is_ours(name, environ, known)]
        for name in set(SERVERS) - set(own):
            check_reachable(name, environ)
        account = account_to_drop_to()
        state = folder.load() or State(
            data=str(folder.choose_data(account)), password=secrets.token_urlsafe(24)
        )
        running = {name for name, process in processes(folder).items() if process.is_running()}
        notes = _choose_ports(state, own, running, ports or {})
        _check_space(Path(state.data))
        folder.save(state)
        with Progress(console=console) as progress:
            site = site_in(folder, state, account, environ, progress)
            servers = _start_all(site, own, running)
        environment = {name: environ.get(name, "") for name in MODEL_VARIABLES}
        for name in SERVERS:
            values = servers[name].recipe.variables() if name in own else environ
            environment |= variables_for(name, values)
        write_env_file(folder.env_path, environment)
    return RunningStack(
        environment=environment,
        servers=servers,
        started=tuple(name for name in own if name not in running),
        notes=tuple(notes),
    )


def down(root: Path) -> tuple[str, ...]:
    """Stop what was started; data stays. Returns the names of what had been running."""
    folder = StackFolder(root=root.resolve())
    if not folder.root.exists():
        return ()
    with folder.locked():
        return _stop_all(processes(folder))


def reset(root: Path) -> None:
    """Stop everything and delete the data folder."""
    folder = StackFolder(root=root.resolve())
    if folder.root.exists():
        with folder.locked():
            _stop_all(processes(folder))
            folder.wipe()


@contextmanager
def ephemeral(
    folder: Path, *, servers: Sequence[str] = SERVERS, environ: Mapping[str, str] = os.environ
) -> Iterator[RunningStack]:
    """Servers for tests: free ports, own data, gone at the end of the block or of this process.

    Of `environ` only the cache's place and the mirror count; the user's own servers are never touched.
    """
    stack_folder = StackFolder(root=folder.resolve())
    account = account_to_drop_to()
    with stack_folder.locked(), Progress(console=Console(stderr=True)) as progress:
        state = State(data=str(stack_folder.choose_data(account)), password=secrets.token_urlsafe(24))
        state.ports |= {name: free_port() for name in (*servers, "kafka_controller")}
        stack_folder.save(state)
        site = site_in(stack_folder, state, account, environ, progress, tie_to_parent=True)
        running: dict[str, Server] = {}
        try:
            running = _start_all(site, servers, set())
            environment: dict[str, str] = {}
            for name in SERVERS:
                environment |= variables_for(
                    name, running[name].recipe.variables() if name in running else {}
                )
            yield RunningStack(environment=environment, servers=running, started=tuple(servers), notes=())
        finally:
            for server in running.values():
                server.stop()
            stack_folder.wipe()


def _is_ours(name: str, environ: Mapping[str, str], known: Mapping[str, str]) -> bool:
    """Whether the server is ours to start: no address given, or our own from a sourced environment file."""
    address = environ.get(address_variable(name))
    return not address or (address == known.get(address_variable(name)) and "127.0.0.1" in address)


def _choose_ports(
    state: State, own: Sequence[str], running: set[str], wanted: Mapping[str, int]
) -> list[str]:
    notes = []
    for name in own:
        known = state.ports.get(name)
        wish = wanted.get(name)
        if name in running:
            if wish not in (None, known):
                raise LocalStackError(
                    f"{name} is already running on port {known}: `signals stack down` first"
                )
            continue
        if wish is not None and not is_free(wish):
            raise LocalStackError(
                f"port {wish} for {name} is in use: stop what uses it or choose another port"
            )
        port = wish or known or DEFAULT_PORTS[name]
        if not is_free(port):
            taken, port = port, free_port()
            notes.append(f"port {taken} is in use, so {name} listens on {port}")
        state.ports[name] = port
    controller = state.ports.get("kafka_controller")
    if "kafka" not in running and (controller is None or not is_free(controller)):
        state.ports["kafka_controller"] = free_port()
    return notes


def _start_all(site: Site, names: Sequence[str], running: set[str]) -> dict[str, Server]:
    """Assemble and start side by side; when one fails, stop those that this call started."""

    def start(name: str) -> Server:
        server = assemble(site, name)
        if name in running:
            server.wait_until_ready()
        else:
            server.start()
        return server

    with ThreadPoolExecutor(max(1, len(names)), thread_name_prefix="start") as pool:
        tasks = {name: pool.submit(start, name) for name in names}
        try:
            return {name: task.result() for name, task in tasks.items()}
        except BaseException:
            for name, task in tasks.items():
                if not task.cancel() and task.exception() is None and name not in running:
                    task.result().stop()
            raise


def _stop_all(running: Mapping[str, ChildProcess]) -> tuple[str, ...]:
    with ThreadPoolExecutor(len(SERVERS)) as pool:
        stopped = pool.map(lambda process: process.stop(), running.values())
    return tuple(name for name, was_running in zip(running, stopped, strict=True) if was_running)


def _check_space(data: Path) -> None:
    free_bytes = shutil.disk_usage(data).free
    if free_bytes < SPACE_NEEDED_BYTES:
        raise LocalStackError(
            f"{data} has {free_bytes // 2**20} MB free and the servers need "
            f"{SPACE_NEEDED_BYTES // 2**20} MB: make room"
        )


@contextmanager
def _one_sentence_for_full_disk(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise LocalStackError(
            f"the disk is full ({error.filename or root}): make room and start again"
        ) from error
