"""`signals status`: what runs, what it owns, how far it lags, what it costs."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import typer
from psycopg_pool import ConnectionPool
from rich.table import Table

from signals.cli.core_client import load_environment
from signals.cli.options import ROOT, Folder
from signals.cli.readable import console, plain
from signals.clients.postgres import Connection, open_pool, transaction
from signals.domain.operations.reading_progress import ReadingProgress
from signals.errors import DependencyUnavailable, SettingsError
from signals.local import stack, watchdog
from signals.local.errors import LocalStackError
from signals.local.folder import StackFolder
from signals.local.processes.footprint import NOTHING, Footprint, footprint_of
from signals.local.ray_head import NAME as RAY
from signals.local.ray_head import RayHead
from signals.services.ledger.audit import GROUPS
from signals.services.operations.partition_lag import PartitionLags, stage_readings
from signals.settings import KafkaSettings, PostgresSettings
from signals.store import leases
from signals.store.operations import workers
from signals.store.operations.workers import RESTARTS_WITHIN, Worker
from signals.store.summary.ai_jobs import QUEUE

SHOWN_RESTARTS: Final = 2  # one follows each update
SAMPLE_S: Final = 3.0  # over which processor use is taken
PROGRESS_IN_WORDS: Final[Mapping[ReadingProgress, str]] = {
    "well": "keeps up",
    "late": "more than a minute late",
    "standing": "stands still",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(folder: Folder = ROOT) -> None:
    """Show servers, Serve deployments, actors with their partitions and lag, jobs, and last the cost."""
    load_environment(folder / "env")
    out = console()
    for line in _missing(folder):
        out.print(line, end="\n\n")
    head = _ray_head(folder)
    pids: dict[str, int | None] = {}
    if head is not None:
        servers = stack.status(folder)
        pids = {server.name: server.pid for server in servers} | {RAY: head.process.pid}
        out.print(_processes(servers, head), end="\n\n")
        if all(server.state == "stopped" for server in servers) and not head.process.is_running():
            out.print("Nothing runs here: start it with `signals up`.")
            return
        if told := watchdog.full(folder):
            out.print(f"Disk: {told}", end="\n\n")
        if head.process.is_running():  # else another stack may have its dashboard's port
            out.print(_deployments(head), end="\n\n")
        else:
            out.print("Ray is stopped, so nothing accepts or handles events: `signals up`.", end="\n\n")
    try:
        with open_pool(PostgresSettings.from_env(), size=1) as pool:
            out.print(_actors(pool), end="\n\n")
            out.print(reading_of(pool), end="\n\n")
            out.print(_jobs(pool))
    except DependencyUnavailable as error:
        out.print(f"actors and jobs: unknown, {error}")
    if any(pids.values()):
        out.print(f"\nCost, sampled over {SAMPLE_S:.0f} s:")
        out.print(_costs(pids))


def _ray_head(folder: Path) -> RayHead | None:
    stack_folder = StackFolder(root=folder.resolve())
    state = stack_folder.load() if folder.exists() else None
    if state is None or "ray_gcs" not in state.ports:
        return None
    return RayHead(folder=stack_folder, state=state)


def _missing(folder: Path) -> Iterator[str]:
    """Yield which parts are missing, and why the last attempt of the watchdog failed."""
    died, late = watchdog.died(folder), watchdog.late(folder)
    if died:
        again = "starts again by itself" if watchdog.is_running(folder) else "start again with `signals up`"
        yield f"Died: {', '.join(died)}; {again}. See `signals stack logs`."
    elif watchdog.is_off(folder):
        yield "Watchdog: off, so no part that dies starts again by itself; `signals up` starts it."
    if late:
        yield f"Starting: {', '.join(late)}. `signals up` waits until all is ready."
    if (died or late) and (cause := watchdog.last_failure(folder)):
        yield f"The last attempt failed: {plain(cause)}"


def _processes(servers: Sequence[stack.ServerStatus], head: RayHead) -> Table:
    table = _table("process", "state", ">pid")
    for server in servers:
        table.add_row(server.name, server.state, str(server.pid or "-"))
    ray_state = "running" if head.process.is_running() else "stopped"
    table.add_row(RAY, ray_state, str(head.process.pid or "-"))
    return table


def _costs(pids: dict[str, int | None]) -> Table:
    """Sample processor time and memory of each process tree; takes `SAMPLE_S` seconds."""
    before = _footprints(pids)
    time.sleep(SAMPLE_S)
    after = _footprints(pids)
    table = _table("process", ">processes", ">memory (PSS)", ">processor")
    for name, cost in after.items():
        table.add_row(name, *_cost(cost, before[name]))
    table.add_row("together", *_cost(sum(after.values(), NOTHING), sum(before.values(), NOTHING)))
    return table


def _footprints(pids: dict[str, int | None]) -> dict[str, Footprint]:
    return {name: footprint_of(pid) if pid else NOTHING for name, pid in pids.items()}


def _cost(now: Footprint, before: Footprint) -> tuple[str, str, str]:
    share = max(0.0, now.cpu_s - before.cpu_s) / SAMPLE_S
    return str(now.processes), f"{now.pss_bytes / 1e6:.0f} MB", f"{share:.0%} of a core"


def _deployments(head: RayHead) -> Table | str:
    try:
        applications = head.applications()
    except LocalStackError as error:
        return f"Serve deployments: unknown; {error}"
    table = _table("application", "route", "deployment", "state", ">replicas")
    for application in applications.values():
        for name, deployment in application["deployments"].items():
            replicas = [replica["state"] for replica in deployment["replicas"]]
            running = replicas.count("RUNNING")
            route = application["route_prefix"] or "-"
            table.add_row(
                application["name"],
                route,
                name,
                deployment["status"].lower(),
                f"{running} of {len(replicas)}",
            )
    return table


def _actors(pool: ConnectionPool[Connection]) -> Table:
    with transaction(pool) as connection:
        known = workers.list_all(connection)
    now = datetime.now(UTC)
    table = _table("actor", "state", "partitions", ">lag", ">last batch", ">handled", ">pid", ">heartbeat")
    for worker in known:
        table.add_row(
            worker.name,
            state_of(worker),
            ",".join(map(str, worker.partitions)) or "-",
            "-" if worker.lag is None else str(worker.lag),
            _ago(now, worker.last_batch_at),
            str(worker.handled),
            str(worker.pid),
            f"{max(0.0, worker.age_s):.0f} s ago",
        )
    return table


def reading_of(pool: ConnectionPool[Connection]) -> Table | str:
    """Return how far each stage has read all partitions, also those that no actor has."""
    try:
        stages = stage_readings(PartitionLags(pool, KafkaSettings.from_env, GROUPS).read())
    except (DependencyUnavailable, SettingsError) as error:
        return f"stages: unknown, {error}"
    table = _table("stage", "reading", "partitions", ">waiting")
    for one in stages:
        progress = PROGRESS_IN_WORDS[one.progress]
        table.add_row(one.stage, progress, ",".join(map(str, one.partitions)) or "all", str(one.waiting))
    return table


def state_of(worker: Worker) -> str:
    """Return a consumer's state in words, with its restarts when one alone does not explain them."""
    state = f"{worker.state} {plain(worker.detail)}".strip()
    if worker.restarts < SHOWN_RESTARTS:
        return state
    minutes = RESTARTS_WITHIN.total_seconds() / 60
    return f"{state}, restarted {worker.restarts} times in the last {minutes:.0f} minutes"


def _jobs(pool: ConnectionPool[Connection]) -> Table:
    with transaction(pool) as connection:
        counts = leases.count_by_status(connection, QUEUE)
    table = _table("AI jobs", ">count")
    for state in ("queued", "running", "succeeded", "failed"):
        table.add_row(state, str(counts.get(state, 0)))
    return table


def _ago(now: datetime, at: datetime | None) -> str:
    return f"{max(0.0, (now - at).total_seconds()):.0f} s ago" if at else "-"


def _table(*headings: str) -> Table:
    """Make a table; a heading with `>` in front stands over right-aligned cells."""
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left")
    return table
