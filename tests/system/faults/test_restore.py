"""Backup and restore under traffic: the checker names the events that a lost stack takes with it."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from signals.local.processes.ports import free_port
from signals.local.servers.postgres_install import SYSTEM_FOLDERS
from tests.support.waiting import until
from tests.system.faults.laptop import Laptop
from tests.system.faults.recorder import Recorder
from tests.system.faults.server_contents import observe
from tests.system.faults.table import FaultRow
from tests.system.faults.traffic import Sent, Traffic
from tests.system.faults.trial import SETTLE_WITHIN_S
from tests.system.faults.verdict import Verdict, judge
from tests.system.faults.watch import doubled_incidents

pytestmark = [pytest.mark.faults, pytest.mark.timeout(2400)]

Rows = Callable[[str], FaultRow]
EVENTS_PER_S: Final = 50.0
SHARE: Final = 500  # acknowledged events before the backup, and again after it
SHARE_WITHIN_S: Final = 300.0


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """A stack that `signals up` has started; it is deleted at the end."""
    laptop = Laptop(tmp_path_factory.mktemp("restored") / ".signals")
    try:
        laptop.up(f"--http-port={free_port()}")
        yield laptop
    finally:
        laptop.stack.command("stack", "reset", "--yes")


@dataclass(frozen=True, slots=True)
class Customer:
    """A project with traffic of its own, which a good client sends."""

    laptop: Laptop
    project_id: str
    recorder: Recorder

    @property
    def acknowledged(self) -> frozenset[UUID]:
        """The events that were acknowledged so far."""
        return frozenset(self.recorder.sent.acknowledged.copy())

    def wait_for_more(self) -> frozenset[UUID]:
        """Wait until another share of events is acknowledged; return all that are."""
        before = len(self.acknowledged)
        until(lambda: len(self.acknowledged) > before + SHARE, within_s=SHARE_WITHIN_S)
        return self.acknowledged

    def logged(self) -> frozenset[UUID]:
        """Return the project's events in Kafka."""
        return frozenset(observe(self.laptop.servers, self.project_id, {}, with_jobs=False).logged)

    def judged(self, lost: frozenset[UUID] = frozenset()) -> Verdict:
        """Return the verdict without the events that may be lost, once it is clean or time is up."""
        sent, servers = self.recorder.sent, self.laptop.servers
        kept = Sent(known=sent.known, acknowledged=sent.acknowledged - lost, refusals=sent.refusals)
        verdicts: list[Verdict] = []

        def is_clean() -> bool:
            seen = observe(servers, self.project_id, {}, with_jobs=False)
            with servers.database() as connection:
                doubled = doubled_incidents(connection, self.project_id)
            verdicts.append(judge(kept, seen, doubled_incidents=sorted(doubled)))
            return verdicts[-1].is_clean

        try:
            until(is_clean, within_s=SETTLE_WITHIN_S, every_s=1.0)
        except TimeoutError:
            return verdicts[-1]
        return verdicts[-1]


@pytest.fixture
def customer(laptop: Laptop, request: pytest.FixtureRequest) -> Iterator[Customer]:
    """A customer whose traffic has begun."""
    project_id = request.node.name.replace("_", "-").replace("[", "-").rstrip("]")[-40:].strip("-")
    sender = laptop.stack.stage().project(project_id)
    recorder = Recorder(sender, Traffic(project_id), events_per_s=EVENTS_PER_S)
    recorder.start()
    yield Customer(laptop, project_id, recorder)
    recorder.stop()


def test_restored_stack_lacks_events_after_its_backup_and_no_other(
    customer: Customer, fault_row: Rows, tmp_path: Path
) -> None:
    row = fault_row("local stack lost and restored from its backup; only what came later may be lost")
    laptop, file = customer.laptop, str(tmp_path / "signals.tar.gz")
    customer.wait_for_more()
    laptop.stack.command("down")
    kept = customer.acknowledged
    laptop.stack.command("stack", "backup", file)
    laptop.up()
    customer.wait_for_more()
    laptop.stack.command("stack", "reset", "--yes")
    later = customer.acknowledged - kept
    row.injected += 1
    laptop.stack.command("stack", "restore", file)
    laptop.up()
    customer.wait_for_more()
    customer.recorder.stop()
    # Events that were logged before the backup and acknowledged after it are there.
    lost = customer.acknowledged - customer.logged()
    assert lost
    assert lost <= later
    verdict = customer.judged(lost)
    row.judged(acknowledged=len(customer.acknowledged - lost), lost=verdict.lost, double=verdict.double)
    print(f"{len(kept)} events before the backup, {len(later)} between it and the loss, {len(lost)} lost")
    assert verdict.is_clean, verdict.sentences


@pytest.mark.parametrize("server", ["an empty", "the same"], ids=["empty", "same"])
def test_restored_database_counts_events_after_its_dump_once(
    customer: Customer, fault_row: Rows, tmp_path: Path, server: str
) -> None:
    """The commands of docs/how-to/back-up.md, on the same server or in the place of a lost one."""
    row = fault_row(f"PostgreSQL restored from a dump on {server} server; Kafka and index kept")
    laptop, dump = customer.laptop, tmp_path / "signals.dump"
    customer.wait_for_more()
    client("pg_dump", "--format=custom", f"--file={dump}", laptop.environment["DATABASE_URL"])
    customer.wait_for_more()
    laptop.stack.command("down")
    laptop.stack.command("stack", "up")
    row.injected += 1
    url = laptop.environment["DATABASE_URL"]
    if server == "an empty":
        empty(url)
    client("pg_restore", "--clean", "--if-exists", f"--dbname={url}", str(dump))
    laptop.up()
    customer.wait_for_more()
    customer.recorder.stop()
    verdict = customer.judged()
    row.judged(acknowledged=len(customer.acknowledged), lost=verdict.lost, double=verdict.double)
    assert verdict.is_clean, verdict.sentences


def client(name: str, *words: str) -> None:
    """Run one of PostgreSQL's own programs, which a download of ours does not hold."""
    folders = [
        str(path) for place in SYSTEM_FOLDERS for path in sorted(Path("/").glob(place[1:]), reverse=True)
    ]
    program = shutil.which(name, path=":".join(folders)) or shutil.which(name)
    assert program, f"{name} is missing: install PostgreSQL's client programs"
    done = subprocess.run([program, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def empty(url: str) -> None:
    """Put an empty database in the place of one that is lost."""
    base, _, name = url.rpartition("/")
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        names = {"name": sql.Identifier(name)}
        connection.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))
        connection.execute(sql.SQL("CREATE DATABASE {name}").format(**names))
