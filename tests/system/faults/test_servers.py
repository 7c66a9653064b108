"""PostgreSQL, Kafka and OpenSearch crash, stop, slow down or lose connections under traffic."""

from collections.abc import Callable
from random import Random
from typing import Final

import pytest

from tests.support.product import Product
from tests.support.waiting import pause, until
from tests.system.faults.table import FaultRow
from tests.system.faults.trial import Stage, trial

pytestmark = pytest.mark.timeout(900)

SERVERS: Final = ("postgres", "kafka", "opensearch")
RESETS: Final = 36
RESTARTS: Final = 2
STOPPED_S: Final = 30.0
LATENCY_S: Final = 0.2
SLOW_FOR_S: Final = 15.0
AWAY_S: Final = 90.0
FLAT_MB: Final = 80.0  # of one process, while a dependency is away: less than librdkafka's own buffers


@pytest.mark.faults_quick
def test_every_connection_reset_once(
    product: Product, product_stage: Stage, fault_row: Callable[[str], FaultRow]
) -> None:
    with trial(product_stage, fault_row("RST on every connection, each server in turn"), seed=20) as running:
        for server in SERVERS:
            until(product.proxies[server].reset_all, within_s=60)
            running.injected()
        running.recovered()


@pytest.mark.faults
@pytest.mark.parametrize("server", SERVERS)
def test_connections_reset_repeatedly(
    product: Product, product_stage: Stage, fault_row: Callable[[str], FaultRow], server: str
) -> None:
    random = Random(f"reset {server}")
    with trial(product_stage, fault_row(f"connection resets, {server}"), seed=21) as running:
        for number in range(RESETS):
            pause(random.uniform(0.0, 1.0))
            product.proxies[server].reset_all()
            running.injected()
            if number % 12 == 11:
                running.recovered()


@pytest.mark.faults
@pytest.mark.parametrize("server", SERVERS)
def test_server_killed_and_restarted(
    product: Product, product_stage: Stage, fault_row: Callable[[str], FaultRow], server: str
) -> None:
    with trial(product_stage, fault_row(f"kill -9 and restart, {server}"), seed=22) as running:
        for _ in range(RESTARTS):
            product.stack.servers[server].kill()
            running.injected()
            product.stack.servers[server].start()
            running.healed()
            running.recovered()


@pytest.mark.faults
@pytest.mark.parametrize("server", SERVERS)
def test_server_stopped_for_half_a_minute(
    product: Product, product_stage: Stage, fault_row: Callable[[str], FaultRow], server: str
) -> None:
    with trial(product_stage, fault_row(f"stopped for 30 s, {server}"), seed=23) as running:
        product.stack.servers[server].stop()
        running.injected()
        pause(STOPPED_S)
        product.stack.servers[server].start()
        running.healed()
        running.recovered()


@pytest.mark.faults
@pytest.mark.parametrize("server", SERVERS)
def test_server_slow(
    product: Product, product_stage: Stage, fault_row: Callable[[str], FaultRow], server: str
) -> None:
    with trial(product_stage, fault_row(f"+200 ms each way, {server}"), seed=24) as running:
        product.proxies[server].latency_s = LATENCY_S
        running.injected()
        try:
            running.recovered()  # it works while it is slow
            pause(SLOW_FOR_S)
        finally:
            product.proxies[server].restore()


@pytest.mark.faults
@pytest.mark.parametrize("server", SERVERS)
def test_memory_stays_flat_while_a_server_does_not_answer(
    product: Product, product_stage: Stage, fault_row: Callable[[str], FaultRow], server: str
) -> None:
    with trial(product_stage, fault_row(f"silent for 90 s, {server}"), seed=25) as running:
        running.recovered()
        until(lambda: running.watch.peak_mb)  # recovered may be before the first look
        before = dict(running.watch.peak_mb)
        product.proxies[server].go_silent()
        running.injected()
        try:
            pause(AWAY_S)
        finally:
            product.proxies[server].restore()
        running.healed()
        running.recovered()
        grown = {kind: running.watch.peak_mb[kind] - mb for kind, mb in before.items()}
    print(f"{server} silent: {', '.join(f'{kind} +{mb:.0f} MB' for kind, mb in grown.items())}")
    assert max(grown.values()) < FLAT_MB, grown
