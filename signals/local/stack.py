"""The local stack as a whole: start, stop, report, wipe.

Each server is replaced by the user's own when its address is in the environment; such a server is checked,
never started or stopped.
"""

import os
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from signals.local.environment import (
    address_variable,
    check_reachable,
    read_env_file,
    users_variables,
    variables_for,
    write_env_file,
)
from signals.local.errors import (
    DiedError,
    GivenUpError,
    LocalStackError,
    NotReadyError,
    PortTakenError,
    os_errors_reported,
)
from signals.local.files import require_space, shortage
from signals.local.folder import StackFolder, StackState
from signals.local.processes.account import ServerAccount, account_to_drop_to
from signals.local.processes.ports import free_port
from signals.local.processes.process import ChildProcess
from signals.local.progress import DownloadProgress
from signals.local.ray_head import NAME as RAY
from signals.local.servers.assembly import SERVERS, Site, assemble, choose_ports, processes, site_in
from signals.local.servers.server import Server

__all__ = ["SERVERS", "RunningStack", "ServerStatus", "down", "ephemeral", "full", "reset", "status", "up"]

DISPENSABLE = ("opensearch",)
"""It holds a copy to search: without it events are accepted, counted and told."""
FRESH_DATA_BYTES = 256 * 2**20
"""What the servers' first files take (measured: 110 MB) and room to work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStack:
    """A stack that is up; `environment` is what clients need, `servers` are those that are ours."""

    environment: Mapping[str, str]
    servers: Mapping[str, Server]
    started: tuple[str, ...]
    notes: tuple[str, ...]
    failure: LocalStackError | None = None
    """Why one does not answer that the product can start without."""

    def require_all(self) -> None:
        """Raise `NotReadyError` with the cause when one does not answer."""
        if self.failure is not None:
            raise NotReadyError(f"everything else goes on; `signals up` tries again: {self.failure}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """One server as seen now; `yours` is never started or stopped by us."""

    name: str
    state: Literal["running", "stopped", "yours"]
    address: str
    pid: int | None


def up(
    root: Path,
    *,
    environ: Mapping[str, str],
    console: Console,
    ports: Mapping[str, int] | None = None,
    keeps_ports: bool = False,
) -> RunningStack:
    """Start what is not running yet and write the environment file.

    `ports` are the user's wishes by server; a wish that cannot be had is an error, a default is not.
    With `keeps_ports`, and while Ray runs, no server moves to another port than last time's.

    Raises:
        LocalStackError: in one sentence, why not; what has started stays up, and a second call goes on.
    """
    folder = StackFolder(root=root.resolve())
    with os_errors_reported(folder.root), folder.locked():
        running = start(folder, environ=environ, console=console, ports=ports or {}, keeps_ports=keeps_ports)
    running.require_all()
    return running


def start(
    folder: StackFolder,
    *,
    environ: Mapping[str, str],
    console: Console,
    ports: Mapping[str, int],
    keeps_ports: bool,
) -> RunningStack:
    """Do what `up` does, for a caller that holds the folder's lock and looks at `failure`."""
    account = account_to_drop_to()
    state = _remembered(folder, account)
    own = [name for name in SERVERS if _is_ours(name, environ, state)]
    for name in SERVERS:
        if name not in own:
            check_reachable(name, environ)
    running = _running(folder)
    keeps_ports = keeps_ports or RAY in running
    notes = choose_ports(state, own, running, ports, keeps_known=keeps_ports)
    require_space(Path(state.data), FRESH_DATA_BYTES)
    folder.save(state)
    _expect_only(own, folder)
    started = tuple(name for name in own if name not in running)
    if started:
        console.print(f"starting {', '.join(started)} …", highlight=False)

    failures: list[LocalStackError] = []

    def start_missing(running: set[str]) -> dict[str, Server]:
        failures.clear()
        with DownloadProgress(console=console) as progress:
            site = site_in(folder, state, account, environ, progress)
            return _start_all(site, own, running, dispensable=DISPENSABLE, failures=failures)

    try:
        servers = start_missing(running)
    except PortTakenError:  # by another stack that starts now: its ports are seen this time
        running = _running(folder)
        notes += choose_ports(state, own, running, ports, keeps_known=keeps_ports)
        folder.save(state)
        servers = start_missing(running)
    environment = users_variables(environ, read_env_file(folder.env_path))
    environment |= _environment(servers, environ)
    state.addresses = {name: environment[address_variable(name)] for name in own}
    folder.save(state)
    write_env_file(folder.env_path, environment)
    return RunningStack(
        environment=environment,
        servers=servers,
        started=started,
        notes=tuple(notes),
        failure=next(iter(failures), None),
    )


def down(root: Path) -> tuple[str, ...]:
    """Stop what was started; data stays. Returns the names of what had been running."""
    folder = StackFolder(root=root.resolve())
    if not folder.is_stack():
        return ()
    with os_errors_reported(folder.root), folder.locked():
        return stop(folder)


def stop(folder: StackFolder) -> tuple[str, ...]:
    """Do what `down` does, for a caller that holds the folder's lock."""
    return _stop_all(processes(folder))


def reset(root: Path) -> None:
    """Stop everything and delete the data.

    Raises:
        LocalStackError: no stack has ever been there, so that a mistyped folder loses nothing.
    """
    folder = StackFolder(root=root.resolve())
    if not folder.is_stack():
        raise LocalStackError(f"{folder.root} holds no local stack: nothing was deleted")
    with os_errors_reported(folder.root), folder.locked():
        _stop_all(processes(folder))
        folder.wipe()


def status(root: Path) -> list[ServerStatus]:
    """Every server of the stack as it is now; nothing before the first start."""
    folder = StackFolder(root=root.resolve())
    state = folder.load()
    if state is None:
        return []
    environment = read_env_file(folder.env_path)
    seen = []
    ours = processes(folder)
    for name in SERVERS:
        pid, address = ours[name].pid, environment.get(address_variable(name), "")
        yours = address and address != state.addresses.get(name)
        now: Literal["running", "stopped", "yours"] = "yours" if yours else "running" if pid else "stopped"
        seen.append(ServerStatus(name=name, state=now, address=address, pid=pid))
    return seen


def full(root: Path) -> str | None:
    """Why the next start would be refused when the servers' disk is full, else None."""
    state = StackFolder(root=root.resolve()).load()
    return shortage(Path(state.data), FRESH_DATA_BYTES) if state and Path(state.data).exists() else None


@contextmanager
def ephemeral(
    folder: Path,
    *,
    servers: Sequence[str] = SERVERS,
    environ: Mapping[str, str] = os.environ,
    ports: Mapping[str, int] | None = None,
) -> Iterator[RunningStack]:
    """Servers for tests: free ports, own data, gone at the end of the block or of this process.

    `ports` fixes some; `kafka_advertised` is where Kafka sends its clients, a proxy before it for one.
    Of `environ` only the cache's place, the mirror and `PG_BINDIR` count: no server of the user's is touched.
    """
    stack_folder = StackFolder(root=folder.resolve())
    account = account_to_drop_to()
    with stack_folder.locked(), DownloadProgress(console=Console(stderr=True)) as progress:
        state = _fresh_state(stack_folder.choose_data(account))
        state.ports |= {name: free_port() for name in (*servers, "kafka_controller")} | dict(ports or {})
        stack_folder.save(state)
        site = site_in(stack_folder, state, account, environ, progress, tie_to_parent=True)
        ours: Mapping[str, Server] = {}
        try:
            ours = _start_all(site, servers, set())
            yield RunningStack(
                environment=_environment(ours, {}), servers=ours, started=tuple(servers), notes=()
            )
        finally:
            begun = processes(stack_folder)  # of a start that failed
            _stop_all(begun | {name: server.process for name, server in ours.items()})
            stack_folder.wipe()


def _running(folder: StackFolder) -> set[str]:
    return {name for name, process in processes(folder).items() if process.is_running()}


def _remembered(folder: StackFolder, account: ServerAccount | None) -> StackState:
    state = folder.load() or _fresh_state(folder.choose_data(account))
    if not Path(state.data).exists():  # the clone was moved, and its data with it
        state.data = str(folder.choose_data(account))
    folder.save(state)
    return state


def _fresh_state(data: Path) -> StackState:
    return StackState(data=str(data), password=secrets.token_urlsafe(24))


def _is_ours(name: str, environ: Mapping[str, str], state: StackState) -> bool:
    """Whether the server is ours to start: no address is given, or ours came back from a sourced file."""
    address = environ.get(address_variable(name))
    return not address or address == state.addresses.get(name)


def _expect_only(own: Collection[str], folder: StackFolder) -> None:
    """Expect of a server that the user has since replaced by another neither to live nor to start."""
    for name, process in processes(folder).items():
        if name in SERVERS and name not in own:
            if process.is_running():
                process.mark_started()
            else:
                process.stop()


def _environment(ours: Mapping[str, Server], environ: Mapping[str, str]) -> dict[str, str]:
    environment: dict[str, str] = {}
    for name in SERVERS:
        environment |= variables_for(name, ours[name].recipe.variables() if name in ours else environ)
    return environment


def _start_all(
    site: Site,
    names: Sequence[str],
    running: set[str],
    *,
    dispensable: Collection[str] = (),
    failures: list[LocalStackError] | None = None,
) -> dict[str, Server]:
    """Assemble and start side by side. One failure leaves the others up; an interruption stops them.

    A server that had died before is still meant to run after an interruption.

    Where a dispensable server is late or dies, its error goes into `failures`.
    """

    def start(name: str) -> Server:
        server = assemble(site, name)
        try:
            if name in running:
                server.wait_until_ready()
            else:
                server.start()
        except (DiedError, NotReadyError) as error:
            if name not in dispensable or failures is None:
                raise
            failures.append(error)
        return server

    begun = {name: process for name, process in processes(site.folder).items() if name not in running}
    meant = site.folder.names_with_pid()
    with ThreadPoolExecutor(max(1, len(names)), thread_name_prefix="start") as pool:
        tasks = {name: pool.submit(start, name) for name in names}
        try:
            done, _ = wait(tasks.values(), return_when=FIRST_EXCEPTION)
            if any(task.exception() for task in done):
                site.cache.progress.give_up()
                done, _ = wait(tasks.values())
            _raise_cause(done)
            return {name: task.result() for name, task in tasks.items()}
        except KeyboardInterrupt:
            site.cache.progress.give_up()
            _stop_all(begun, meant=meant)
            wait(tasks.values())
            _stop_all(begun, meant=meant)  # one may have been about to start
            raise


def _raise_cause(done: Collection[Future[Server]]) -> None:
    failures = [error for task in done if (error := task.exception()) is not None]
    if failures:
        raise next((error for error in failures if not isinstance(error, GivenUpError)), failures[0])


def _stop_all(running: Mapping[str, ChildProcess], *, meant: Collection[str] = ()) -> tuple[str, ...]:
    """Stop them; those that are meant to run all the same are left to the watchdog."""

    def stop(name: str) -> bool:
        return running[name].stop(for_good=name not in meant)

    with ThreadPoolExecutor(max(1, len(running)), thread_name_prefix="stop") as pool:
        stopped = pool.map(stop, running)
    return tuple(name for name, was_running in zip(running, stopped, strict=True) if was_running)
