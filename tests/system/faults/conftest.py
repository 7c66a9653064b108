"""Fixtures of the fault tests, and the table that they end with."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from _pytest.terminal import TerminalReporter

from shared_types import Tenancy
from signals.clients.kafka.publisher import Publisher
from signals.local import stack
from signals.local.stack import RunningStack
from signals.settings import KafkaSettings, OpenSearchSettings, PostgresSettings
from tests.support.product import Product, open_product
from tests.system.faults.senders import KafkaSender
from tests.system.faults.server_contents import Servers
from tests.system.faults.table import FaultRow, FaultTable
from tests.system.faults.trial import Stage

TABLE: Final = pytest.StashKey[FaultTable]()
ORG: Final = "trials"
DISK_MB: Final = 700


def pytest_configure(config: pytest.Config) -> None:
    """Begin an empty table."""
    config.stash[TABLE] = FaultTable()


@pytest.fixture
def fault_row(pytestconfig: pytest.Config) -> Iterator[Callable[[str], FaultRow]]:
    """Return the row of a fault in the table that is printed at the end of the run."""
    if TABLE not in pytestconfig.stash:  # this file was found after the configuration
        pytestconfig.stash[TABLE] = FaultTable()
    yield pytestconfig.stash[TABLE].row
    pytestconfig.stash[TABLE].write(_figures(pytestconfig))  # a run that is cut off keeps what it has


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Print the table, and say where its figures are."""
    table = config.stash.get(TABLE, None)
    if table is None or not table.rows:
        return
    terminalreporter.section("faults")
    for line in table.lines():
        terminalreporter.write_line(line)
    terminalreporter.write_line(f"(figures: {_figures(config).relative_to(config.rootpath)})")


def _figures(config: pytest.Config) -> Path:
    assert config.cache is not None
    return Path(config.cache.mkdir("faults")) / "table.json"


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The whole product behind proxies, with two consumers of each kind."""
    pairs = {f"SIGNALS_{name}": "2" for name in ("DETECTORS", "INDEXERS", "SUMMARIZERS")}
    with open_product(tmp_path_factory.mktemp("product"), proxied=True, settings=pairs) as product:
        yield product


@pytest.fixture
def product_stage(product: Product) -> Stage:
    """Trials on the whole product, from HTTP to the summary."""
    return Stage(servers=product.servers, project=product.new_project, processes=product.processes)


@pytest.fixture
def pipeline_stage(
    servers: RunningStack,
    database: PostgresSettings,
    kafka: KafkaSettings,
    opensearch: object,
    publisher: Publisher,
) -> Stage:
    """Trials on consumers that the test itself runs: events go to Kafka, nothing summarizes."""
    index = OpenSearchSettings(opensearch_url=servers.environment["OPENSEARCH_URL"])
    return Stage(
        servers=Servers(kafka=kafka, postgres=database, opensearch=index),
        project=lambda project_id: KafkaSender(publisher=publisher, tenancy=Tenancy(ORG, project_id)),
        summarizes=False,
    )


@pytest.fixture
def disk(fault_row: Callable[[str], FaultRow]) -> Iterator[Path]:
    """A small file system of its own, which the servers' account can enter."""
    if os.geteuid() != 0:
        fault_row("small disk: NOT TESTED, only root may mount one")  # leaves the total without a verdict
        pytest.skip("NOT TESTED: only root may mount a small disk")
    with TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        options = f"size={DISK_MB}m,mode=0755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", name], check=True)
        try:
            yield place
        finally:
            stack.down(place / ".signals")
            subprocess.run(["umount", "--lazy", name], check=True)
