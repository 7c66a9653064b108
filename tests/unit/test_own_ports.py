"""Workers of a parallel run are given different ports, and none of them a port twice."""

from typing import Final

from signals.local.processes import ports
from signals.local.processes.ports import free_port
from tests.support.ports import OwnOffsets

WORKERS: Final = 3
EACH: Final = 400


def offsets(worker: str) -> list[int]:
    own = OwnOffsets.of({"workerid": worker, "workercount": WORKERS})
    return [own.randbelow(WORKERS * EACH) for _ in range(EACH)]


def test_workers_share_the_range_and_no_port() -> None:
    given = [offset for worker in ("gw0", "gw1", "gw2") for offset in offsets(worker)]
    assert sorted(given) == list(range(WORKERS * EACH))


def test_worker_that_replaces_a_dead_one_has_ports_too() -> None:
    assert set(offsets("gw3")) == set(offsets("gw0"))


def test_free_port_draws_from_them_in_a_run_of_tests() -> None:
    assert isinstance(vars(ports)["secrets"], OwnOffsets)
    given = [free_port() for _ in range(200)]
    assert len(set(given)) == len(given)
