"""Ray's head node is lost on a laptop; the watchdog of `signals up` starts it again by itself."""

from collections.abc import Callable, Iterator

import psutil
import pytest

from signals.local import watchdog
from tests.support.waiting import until
from tests.system.faults.processes import kill
from tests.system.faults.table import FaultRow
from tests.system.faults.trial import trial
from tests.system.faults.watched_stack import WatchedStack, open_watched_stack

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedStack]:
    """A stack that `signals up` has started."""
    with open_watched_stack(tmp_path_factory.mktemp("laptop") / ".signals") as stack:
        yield stack


def pid_in_node(stack: WatchedStack, program: str) -> int:
    """Return the process of the node that runs a program."""
    holder = stack.node_pid
    assert holder is not None, "the node has died"
    (found,) = [p.pid for p in psutil.Process(holder).children(recursive=True) if p.name() == program]
    return found


@pytest.mark.parametrize("program", ["gcs_server", "raylet"])
def test_lost_head_node_starts_again_without_hands(
    stack: WatchedStack, fault_row: Callable[[str], FaultRow], program: str
) -> None:
    row = fault_row(f"SIGKILL of Ray's head node: {program}")
    former = stack.node_pid
    assert former is not None
    with trial(stack.stage(), row, seed=45) as running:
        running.recovered()
        watching = stack.watchdog
        watching.suspend()  # so that the death is still there to be reported
        kill(pid_in_node(stack, program))
        running.injected()
        until(lambda: watchdog.died(stack.root) == ["ray"])
        said = stack.command("status")
        watching.resume()
        assert said.startswith("Died: ray; starts again by itself.")
        running.healed()
        until(lambda: stack.node_pid not in (None, former), within_s=300)
        print(f"{program} killed: recovered after {running.recovered(within_s=300):.1f} s")
