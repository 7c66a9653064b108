"""A disk that is full under the whole product and then has room: the product works again without hands."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from signals.local import watchdog
from tests.support.waiting import pause, until
from tests.system.faults.table import FaultRow
from tests.system.faults.trial import trial
from tests.system.faults.watched_stack import open_watched_stack

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

CHUNK: Final = bytes(2**16)
FULL_S: Final = 20.0  # long enough for several attempts of the watchdog


def fill(path: Path) -> None:
    """Write until the disk takes no more."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(CHUNK):
            continue
    assert shutil.disk_usage(path).free < len(CHUNK)


def test_product_works_again_once_a_full_disk_has_room(
    disk: Path, fault_row: Callable[[str], FaultRow]
) -> None:
    row, filler = fault_row("full disk under the whole product, then room"), disk / "filler"
    with open_watched_stack(disk / ".signals") as stack, trial(stack.stage(), row, seed=46) as running:
        running.recovered()
        fill(filler)
        running.injected()
        died = until(lambda: watchdog.died(stack.root), within_s=300)
        pause(FULL_S)
        filler.unlink()
        running.healed()
        until(lambda: not watchdog.died(stack.root) and not stack.unready(), within_s=300, every_s=0.5)
        print(f"{', '.join(died)} died over it; recovered after {running.recovered(within_s=300):.1f} s")
