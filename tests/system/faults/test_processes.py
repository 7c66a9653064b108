"""Processes of the product killed, frozen and doubled while traffic flows."""

from collections.abc import Callable
from random import Random
from typing import Final

import pytest

from tests.support.product import Product
from tests.support.waiting import pause, until
from tests.system.faults.consumer_set import consumer_set, environment_of
from tests.system.faults.processes import (
    TITLES,
    family_of,
    freeze,
    freeze_families,
    kill,
    one_of,
    pids_of,
    thaw,
)
from tests.system.faults.table import FaultRow
from tests.system.faults.trial import Goal, Stage, Trial, trial

pytestmark = pytest.mark.timeout(900)

ACTORS: Final = ("incident-engine", "indexer", "ai-worker")
ROUNDS: Final = 2
KILLS: Final = 5  # a round
BEYOND_SESSIONS_S: Final = 20.0  # Kafka's session (10 s), the lease (15 s)
ASLEEP_S: Final = 330.0  # the longest time-out is that between two polls of Kafka: 300 s (librdkafka)
BEYOND_SUPERVISOR_S: Final = 45.0  # the supervisor replaces an actor that is silent for about 30 s


def goal_of(kind: str) -> Goal:
    return "summarized" if kind == "ai-worker" else "counted"


def kill_some(product: Product, running: Trial, kind: str, random: Random, times: int) -> None:
    """Kill processes of one kind, each at a random moment of its life, as soon as there is one."""
    for _ in range(times):
        pause(random.uniform(0.0, 2.0))
        one_of(product.root_pid, kind)
        kill(random.choice(pids_of(product.root_pid, kind)))
        running.injected()


@pytest.mark.faults_quick
def test_each_actor_killed_once(
    product: Product, product_stage: Stage, fault_row: Callable[[str], FaultRow]
) -> None:
    with trial(product_stage, fault_row("SIGKILL, each actor in turn"), seed=10) as running:
        for kind in ACTORS:
            kill(one_of(product.root_pid, kind))
            running.injected()
        running.recovered("summarized")


@pytest.mark.faults
@pytest.mark.parametrize("kind", list(TITLES))
def test_each_actor_killed_repeatedly(
    product: Product, product_stage: Stage, fault_row: Callable[[str], FaultRow], kind: str
) -> None:
    random = Random(f"kill {kind}")
    with trial(product_stage, fault_row(f"SIGKILL {kind}"), seed=11) as running:
        for _ in range(ROUNDS):
            kill_some(product, running, kind, random, KILLS)
            running.recovered(goal_of(kind))


@pytest.mark.faults
@pytest.mark.parametrize("frozen_s", [BEYOND_SESSIONS_S, BEYOND_SUPERVISOR_S])
@pytest.mark.parametrize("kind", ACTORS)
def test_actor_frozen_beyond_every_timeout(
    product: Product,
    product_stage: Stage,
    fault_row: Callable[[str], FaultRow],
    kind: str,
    frozen_s: float,
) -> None:
    with trial(product_stage, fault_row(f"SIGSTOP {kind}, then SIGCONT"), seed=12) as running:
        pid = one_of(product.root_pid, kind)
        freeze(pid)
        running.injected()
        try:
            pause(frozen_s)
            running.recovered(goal_of(kind))  # the other one has taken over
        finally:
            thaw(pid)
        running.healed()
        running.recovered(goal_of(kind))


@pytest.mark.faults
def test_machine_sleeps_and_wakes(
    product: Product, product_stage: Stage, fault_row: Callable[[str], FaultRow]
) -> None:
    """All processes stand still, servers included, as on a laptop whose lid is closed.

    Harder than sleep: the monotonic clock goes on, so at the wake every time-out has passed at once.
    """
    with trial(product_stage, fault_row("sleep of the whole machine"), seed=14) as running:
        running.recovered("summarized")
        roots = [product.root_pid, *(server.process.pid or 0 for server in product.stack.servers.values())]
        asleep: list[int] = []
        try:
            asleep = freeze_families(roots)
            running.injected()
            pause(ASLEEP_S)
        finally:
            for pid in asleep:
                thaw(pid)
        running.healed()
        seconds = running.recovered("summarized")
        assert product.root_pid == roots[0]  # Ray's node has not given up
    until(lambda: set(product.readiness().values()) <= {"ok", "running"}, within_s=120)
    left = set(asleep) & {pid for root in roots for pid in family_of(root)}
    print(f"{len(left)} of {len(asleep)} processes outlived the sleep; recovered after {seconds:.1f} s")


@pytest.mark.faults
def test_two_consumer_sets_side_by_side(
    product: Product, product_stage: Stage, fault_row: Callable[[str], FaultRow]
) -> None:
    environment = dict(product.environment) | environment_of(product.servers)
    del environment["KAFKA_GROUP_PROTOCOL"]  # as the product itself
    with trial(product_stage, fault_row("two consumer sets in the same groups"), seed=13) as running:
        for number in range(2):
            with consumer_set(environment, name=f"upgrade-{number}") as other:
                running.injected()
                running.recovered("summarized")
                if number:
                    other.kill()  # the second one never leaves its groups
            running.injected()
            running.recovered("summarized")
