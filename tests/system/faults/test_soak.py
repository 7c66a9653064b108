"""`make soak`: an hour of traffic with a kill each minute loses nothing, and memory stays flat.

Without `SOAK_MINUTES` this is the short version: it is too short for a verdict on memory.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from tests.support.model_server import open_model_server, variables_of
from tests.system.faults.memory import (
    SAMPLE_EVERY_S,
    Member,
    MemoryWatch,
    Sample,
    growth_lines,
    growths,
    memory_lines,
)
from tests.system.faults.soak import EVENTS_PER_S, VICTIMS, soak
from tests.system.faults.table import FaultRow
from tests.system.faults.trial import trial
from tests.system.faults.watched_stack import open_watched_stack

MINUTES: Final = int(os.environ.get("SOAK_MINUTES", "2"))
LONG_MINUTES: Final = 20  # from here on a quarter says something about memory
PAIRS: Final = {f"SIGNALS_{name}": "2" for name in ("DETECTORS", "INDEXERS", "SUMMARIZERS")}


@pytest.mark.faults
@pytest.mark.timeout(MINUTES * 60 + 1800)
def test_soak_loses_nothing_and_memory_stays_flat(
    tmp_path: Path, fault_row: Callable[[str], FaultRow]
) -> None:
    row = fault_row(f"soak of {MINUTES} minutes: SIGKILL each minute, each kind in turn")
    with (
        open_model_server() as model,
        open_watched_stack(tmp_path / ".signals", {**variables_of(model), **PAIRS}) as stack,
    ):
        stage = replace(stack.stage(summarizes=True), processes=dict)  # memory is watched here
        with trial(stage, row, seed=71, events_per_s=EVENTS_PER_S) as running:
            running.recovered("summarized")
            with MemoryWatch(stack.all_pids) as watch:
                soak(stack, running, watch, minutes=MINUTES)
            found = growths(watch.samples)
            print(*memory_lines(watch.samples), "", *growth_lines(found), sep="\n", flush=True)
            running.recovered("summarized")
    row.used_memory(max(sample.total_mb for sample in watch.samples))
    assert row.injected >= MINUTES / 3, "the recoveries took most of the time"
    assert {growth.kind for growth in found} >= {*VICTIMS, "raylet", "gcs_server", "watchdog"}
    if MINUTES >= LONG_MINUTES:
        assert [growth.kind for growth in found if not growth.is_flat] == []


def memory_of(minute: float) -> Sample:
    """Memory at one minute of an hour, by the name of what happens to it."""
    life, age = divmod(minute, 12)
    members = {
        1: Member(kind="leaks", mb=100 + 1.5 * minute),
        2: Member(kind="full cache", mb=100 + min(80.0, 8 * minute)),
        3: Member(kind="noisy", mb=100 + 25 * (hash(round(minute * 4)) % 2)),
        100 + int(life): Member(kind="leaks, killed", mb=100 + 1.5 * age),
        200: Member(kind="away for long", mb=100.0),
    }
    if minute > 28:
        members[201] = Member(kind="away for long", mb=100.0)
    if minute > 30:
        members |= {300 + n: Member(kind="left behind", mb=10.0) for n in range(int(minute / 10))}
    return Sample(minute=minute, load=1.0, members=members)


def test_memory_that_grows_is_found_and_noise_is_not() -> None:
    samples = [memory_of(n * SAMPLE_EVERY_S / 60) for n in range(60 * 4)]
    found = {growth.kind: growth for growth in growths(samples)}
    assert {kind for kind, growth in found.items() if not growth.is_flat} == {"leaks", "left behind"}
    slopes = {kind: round(growth.slope_mb_an_hour or 0) for kind, growth in found.items()}
    assert {kind: slope for kind, slope in slopes.items() if slope} == {"leaks": 90, "leaks, killed": 90}


def test_memory_table_has_a_column_each_five_minutes() -> None:
    samples = [memory_of(n * SAMPLE_EVERY_S / 60) for n in range(12 * 4)]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in memory_lines(samples)]
    assert cells[0] == ["MB in minutes", "0-5", "5-10", "10-15"]
    assert ["leaks", "104", "111", "116"] in cells
    assert "flat" in "\n".join(growth_lines(growths(samples)))
