"""The watchdog of a local stack: a small process that starts again what died, and completes late starts.

`python -m signals.local.watchdog FOLDER` is one attempt.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from signals.errors import DependencyUnavailable, MigrationFailed, SettingsError
from signals.local import bring_up, stack
from signals.local.environment import read_env_file
from signals.local.errors import LocalStackError, NotReadyError
from signals.local.folder import StackFolder
from signals.local.processes import server_watch
from signals.local.processes.process import OUTPUT_FOLLOWS, ChildProcess, Command
from signals.local.processes.server_watch import FAILED, NAME, SUCCEEDED, missing
from signals.local.ray_head import NAME as RAY
from signals.local.ray_head import ray_process
from signals.local.servers.assembly import processes


def start(root: Path, *, resuming: bool = False) -> None:
    """Start the watchdog unless it runs or has nothing to watch; it inherits our environment.

    When `resuming` the watch over what was started before, that start's variables count more than ours.
    """
    folder = StackFolder(root=root.resolve())
    process = _process(folder)
    if folder.names_with_pid() and not process.is_running():
        argv = (sys.executable, "-m", "signals.local.processes.server_watch", str(folder.root))
        known = read_env_file(folder.env_path) if resuming else {}
        known = {name: value for name, value in known.items() if value}
        process.start(Command(argv=argv, env={**os.environ, **known}, cwd=folder.root))


def stop(root: Path) -> None:
    """Stop the watchdog and an attempt of its under way; the parts that the attempt has started go on."""
    folder = StackFolder(root=root.resolve())
    parts = (*processes(folder).values(), ray_process(folder))
    _process(folder).kill_without(part for part in parts if part.name != NAME)


@contextmanager
def paused(root: Path, *, ending: bool = False) -> Iterator[None]:
    """Stop the watchdog while the block runs, since it would take the folder's lock; start it at the end.

    After a failure it starts where it ran before, or where late parts go on starting. A closed terminal and
    SIGTERM end the block as Ctrl-C does. An interrupted block that was `ending` the stack leaves it off.

    Raises:
        LocalStackError: the block's own, with the remedy where the watchdog could not be started either.
    """
    was_running = is_running(root)
    try:
        with _interrupted_by(signal.SIGTERM, signal.SIGHUP):
            stop(root)
            yield
    except Exception as error:
        if was_running or isinstance(error, NotReadyError):
            _start_after(error, root)
        raise
    except BaseException:  # an interruption
        if was_running and not ending:
            start(root, resuming=True)
        raise
    start(root)


def _start_after(failure: Exception, root: Path) -> None:
    try:
        is_late = isinstance(failure, NotReadyError)  # that start is to be completed, with its own variables
        start(root, resuming=not is_late)
    except (OSError, LocalStackError) as error:  # a full disk takes no pid file
        raise LocalStackError(f"{failure}; then run `signals up`: the watchdog is off ({error})") from failure


def is_off(root: Path) -> bool:
    """Say whether parts are meant to run and none would be started again."""
    folder = StackFolder(root=root.resolve())
    return any(name != NAME for name in folder.names_with_pid()) and not is_running(root)


def is_running(root: Path) -> bool:
    """Say whether dead parts are started again."""
    return _process(StackFolder(root=root.resolve())).is_running()


def died(root: Path) -> list[str]:
    """Return the names of the parts that died and do not run again yet."""
    return server_watch.died(root.resolve())


def late(root: Path) -> list[str]:
    """Return the names of the parts that run, and whose start is not complete."""
    return [name for name, state in missing(root.resolve()).items() if state == "starting"]


def last_failure(root: Path) -> str | None:
    """Return why the last attempt failed; None when it succeeded, or there was none."""
    for line in reversed(_process(StackFolder(root=root.resolve())).output().splitlines()):
        if line.endswith(SUCCEEDED):
            return None
        if FAILED in line:
            return line.partition(FAILED)[2].removesuffix(OUTPUT_FOLLOWS)
    return None


def full(root: Path) -> str | None:
    """Return that the servers' disk is full, with the remedy, when the next start would be refused."""
    shortage = stack.full(root)
    if shortage is None or not is_running(root):
        return shortage and f"{shortage}, then start what has stopped with `signals up`."
    remedy = "The watchdog then starts what stopped within a minute; `signals up` does it at once."
    return f"{shortage}. {remedy}"


def restart(root: Path) -> None:
    """Start what is missing: the servers alone, or Ray and the applications as well.

    Raises:
        LocalStackError: in one sentence, why not.
        DependencyUnavailable: when one of the user's own servers does not answer.
    """
    console = Console(no_color=True)
    if RAY in missing(root):
        bring_up.up(root, environ=os.environ, console=console, keeps_ports=True)
    else:
        stack.up(root, environ=os.environ, console=console, keeps_ports=True)


@contextmanager
def _interrupted_by(*numbers: signal.Signals) -> Iterator[None]:
    """Let these signals raise `KeyboardInterrupt` while the block runs, unless they are ignored (nohup)."""
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _process(folder: StackFolder) -> ChildProcess:
    return ChildProcess(name=NAME, pid_path=folder.pid_path(NAME), log_path=folder.log_path(NAME))


if __name__ == "__main__":
    try:
        restart(Path(sys.argv[1]))
    except (LocalStackError, DependencyUnavailable, MigrationFailed, SettingsError) as error:
        sys.exit(f"{FAILED}{error}")
