"""Upgrades in place, under traffic: the release before, this one, the next one, back, and releases that fail.

The release before is a real commit: the newest one with fewer migrations. The next one is this one with a
migration, a field of the index, a default and an answer of its own, which only this test knows.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import httpx2
import pytest

from signals.local.processes.ports import free_port
from tests.support.releases import (
    NEXT_NAME,
    Code,
    former_code,
    has_next_field,
    next_code,
    present_code,
    with_line,
    with_migration,
)
from tests.system.faults.laptop import Laptop
from tests.system.faults.prober import probing_both
from tests.system.faults.rule_editor import RuleEditor
from tests.system.faults.table import FaultRow
from tests.system.faults.trial import trial

pytestmark = [pytest.mark.faults, pytest.mark.timeout(2400)]

EVENTS_PER_S: Final = 50.0


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """A stack that the release before has started."""
    folder = tmp_path_factory.mktemp("upgrades")
    laptop = Laptop(folder / ".signals", clone=folder / "clone")
    commit, code = former_code()
    print(f"the release before is {commit}")
    laptop.install(code)
    try:
        laptop.up(f"--http-port={free_port()}")
        yield laptop
    finally:
        laptop.stack.command("stack", "reset", "--yes")


def name_of(laptop: Laptop) -> str:
    """Return what core-api calls the product."""
    answer = httpx2.get(laptop.environment["CORE_API_URL"], trust_env=False, timeout=15)
    return str(answer.json()["name"])


def upgrade(laptop: Laptop, code: Code) -> None:
    """Put code in place and let `signals up` bring it to the running product: no process stays."""
    before = set(laptop.stack.product_pids().items())
    laptop.install(code)
    laptop.up()
    kept = {kind for _, kind in before & set(laptop.stack.product_pids().items())}
    assert kept == {"Serve controller", "HAProxy manager"} | (kept & {"HAProxy"})


def test_upgrades_under_traffic_lose_and_double_nothing(
    laptop: Laptop, fault_row: Callable[[str], FaultRow]
) -> None:
    row = fault_row("upgrade in place: schema, index and rule; the release before, this, the next, this")
    stage = laptop.stack.stage()
    releases = (("present", present_code()), ("next", next_code()), ("present again", present_code()))
    core = laptop.environment["CORE_API_URL"]
    with (
        trial(stage, row, seed=71, events_per_s=EVENTS_PER_S) as running,
        probing_both(running, core) as probers,
    ):
        rule = RuleEditor(laptop.servers.postgres, core, running.project_id)
        for release, code in releases:
            upgrade(laptop, code)
            print(release, *probers, sep="\n")
            rule.change()
            running.injected()
            running.recovered()
            assert (name_of(laptop) == NEXT_NAME) == (release == "next")
        row.failed = sum(prober.failed for prober in probers)
    for prober in probers:
        prober.assert_served()
    assert has_next_field(laptop.servers.opensearch)


@pytest.mark.parametrize(
    ("make_code", "cause"),
    [
        (
            partial(with_line, "actors/indexer.py", "import absent"),
            "the new code cannot be imported (ModuleNotFoundError: No module named 'absent', actors/",
        ),
        (
            partial(with_migration, b"ALTER TABLE absent ADD COLUMN a int;", "9999.trial"),
            'migration 9999.trial failed and changed nothing (relation "absent" does not exist)',
        ),
    ],
    ids=["import", "schema"],
)
def test_release_that_fails_before_it_is_deployed_ends_no_process(
    laptop: Laptop, fault_row: Callable[[str], FaultRow], make_code: Callable[[], Code], cause: str
) -> None:
    row = fault_row(
        "upgrade in place: code that cannot be imported, a migration that fails; nothing deployed"
    )
    run_present(laptop)
    with trial(laptop.stack.stage(), row, seed=72, events_per_s=EVENTS_PER_S) as running:
        before = laptop.stack.product_pids()
        assert_refused(laptop, make_code(), cause)
        running.injected()
        running.recovered()
        laptop.install(present_code())
        assert "Already running; nothing to do." in laptop.up()
        assert laptop.stack.product_pids() == before


def test_release_whose_replicas_fail_leaves_the_former_serving_and_can_be_taken_back(
    laptop: Laptop, fault_row: Callable[[str], FaultRow]
) -> None:
    row = fault_row("upgrade in place: replicas that fail at their start, and back")
    fails = "\n\ndef configure_logs() -> None:\n    raise RuntimeError('this release is broken')"
    run_present(laptop)
    with (
        trial(laptop.stack.stage(), row, seed=73, events_per_s=EVENTS_PER_S) as running,
        probing_both(running, laptop.environment["CORE_API_URL"]) as probers,
    ):
        kept = {pid for pid, kind in laptop.stack.product_pids().items() if kind == "ingest replica"}
        code = with_line("serve_apps/ingest/replica.py", fails)
        assert_refused(laptop, code, "the new code of ingest does not start (")
        assert kept <= laptop.stack.product_pids().keys()
        running.injected()
        running.recovered()
        upgrade(laptop, present_code())
        running.injected()
        running.recovered()
        print(*probers, sep="\n")
        row.failed = sum(prober.failed for prober in probers)


def run_present(laptop: Laptop) -> None:
    """Have the present code run, after any other."""
    laptop.install(present_code())
    laptop.up()


def assert_refused(laptop: Laptop, code: Code, cause: str) -> None:
    """Let `signals up` fail with a cause and the way back; the watchdog goes on."""
    laptop.install(code)
    done = laptop.stack.run("up")
    print(done.stdout, done.stderr)
    assert done.returncode == 1
    assert cause in done.stderr
    assert "put corrected or former code in place" in done.stderr
    assert laptop.stack.watchdog.is_running()
