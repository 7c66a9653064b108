"""`signals stack`: the local servers alone, without Ray and the applications."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from signals.cli.options import ROOT, Folder
from signals.cli.readable import console as output
from signals.cli.readable import plain
from signals.local import backup as backups
from signals.local import bring_up, stack, watchdog
from signals.local.environment import without_password
from signals.local.errors import LocalStackError
from signals.local.folder import StackFolder
from signals.local.processes.footprint import NOTHING, footprint_of
from signals.local.servers.server_logs import follow, last_lines

LOG_LINES = 40

Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Instead of the default, or last time's.")]

app = typer.Typer(
    name="stack", help="PostgreSQL, Kafka and OpenSearch on this machine.", no_args_is_help=True
)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app)


@app.command()
def up(
    folder: Folder = ROOT,
    postgres_port: Port = None,
    kafka_port: Port = None,
    opensearch_port: Port = None,
) -> None:
    """Start what is not running; a server whose address is in the environment is used, not started."""
    wishes = {"postgres": postgres_port, "kafka": kafka_port, "opensearch": opensearch_port}
    ports = {name: port for name, port in wishes.items() if port is not None}
    with watchdog.paused(folder):
        running = stack.up(folder, environ=os.environ, console=Console(), ports=ports)
    out = output()
    for note in running.notes:
        out.print(f"note: {note}")
    out.print(
        f"Started {', '.join(running.started)}." if running.started else "Already running; nothing to do."
    )
    _print_status(folder)
    env = folder / "env"
    out.print(f"Environment: {env} (set -a; . {env}; set +a)")


@app.command()
def down(folder: Folder = ROOT) -> None:
    """Stop what was started; data stays."""
    with watchdog.paused(folder, ending=True):
        stopped = stack.down(folder)
    output().print(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was running.")


@app.command()
def status(folder: Folder = ROOT) -> None:
    """Show the servers, where they are and what they cost."""
    if stack.status(folder):
        _print_status(folder)
    else:
        output().print(f"There is no local stack in {folder}: start one with `signals stack up`.")


@app.command()
def logs(
    server: Annotated[str | None, typer.Argument(help="One server; all of them otherwise.")] = None,
    folder: Folder = ROOT,
    following: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0)] = LOG_LINES,
) -> None:
    """Show what the servers have written since their last start."""
    known = {path.stem: path for path in sorted((folder / "logs").glob("*.log"))}
    chosen = {name: path for name, path in known.items() if server in (None, name)}
    if not chosen:
        there_are = ", ".join(known) or "none yet"
        raise LocalStackError(
            f"there is no log of {server or 'any server'} in {folder} (there are: {there_are})"
        )
    for name, path in chosen.items():
        for line in last_lines(path, lines):
            _print_line(name, line, len(chosen))
    if following:
        try:
            for name, line in follow(chosen):
                _print_line(name, line, len(chosen))
        except KeyboardInterrupt:
            return


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write, like signals.tar.gz.", dir_okay=False)],
    folder: Folder = ROOT,
) -> None:
    """Write all data and keys of the stopped local stack to one file."""
    size = backups.backup(folder, file)
    output().print(f"Wrote {file} ({size / 2**20:.1f} MB). It holds passwords and keys: keep it private.")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What backup has written.", exists=True, dir_okay=False)],
    folder: Folder = ROOT,
) -> None:
    """Put a backup into a folder that holds no stack."""
    backups.restore(folder, file)
    output().print(f"Restored {folder.resolve()}: `signals up` starts it.")


@app.command()
def reset(
    folder: Folder = ROOT,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop everything and delete all data of the local stack."""
    if not yes:
        typer.confirm(f"Delete {folder.resolve()} with all events, incidents and indexes?", abort=True)
    with watchdog.paused(folder, ending=True):
        bring_up.reset(folder)
    output().print(f"Deleted {folder}.")


def _print_status(folder: Path) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("server", "state", "address"):
        table.add_column(heading, overflow="fold")
    for heading in ("pid", "memory", "processor"):
        table.add_column(heading, justify="right")
    total = NOTHING
    for server in stack.status(folder):
        cost = footprint_of(server.pid) if server.pid else NOTHING
        total += cost
        size = f"{cost.pss_bytes / 2**20:.0f} MB" if server.pid else "-"
        spent = f"{cost.cpu_s:.0f} s" if server.pid else "-"
        address = without_password(server.address)
        table.add_row(server.name, server.state, address, str(server.pid or "-"), size, spent)
    table.add_row("", "", "", "", f"{total.pss_bytes / 2**20:.0f} MB", f"{total.cpu_s:.0f} s")
    output().print(table)
    if problem := watchdog.full(folder):
        output().print(f"Disk: {problem}", soft_wrap=True)
    state = StackFolder(root=folder.resolve()).load()
    if state is not None and not Path(state.data).is_relative_to(folder.resolve()):
        output().print(f"Data: {state.data} (the servers' account cannot enter {folder.resolve()})")


def _print_line(name: str, line: str, logs_shown: int) -> None:
    print(f"{name}: {plain(line)}" if logs_shown > 1 else plain(line), flush=True)
