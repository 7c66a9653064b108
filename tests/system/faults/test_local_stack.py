"""A full or read-only disk under the local stack: one sentence, and nothing acknowledged is lost."""

import io
import os
import pwd
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from rich.console import Console
from typer.testing import CliRunner

from signals.cli.stack import app
from signals.local import stack
from signals.local.errors import LocalStackError
from signals.local.processes.account import ACCOUNT_NAME
from signals.local.stack import RunningStack
from tests.support.waiting import until
from tests.system.faults.server_writers import Writers
from tests.system.faults.table import FaultRow

pytestmark = pytest.mark.timeout(600)

SPARE_MB: Final = 8
BEFORE: Final = 20
MOST: Final = 1000

Row = Callable[[str], FaultRow]


def up(root: Path) -> RunningStack:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SIGNALS_CACHE_DIR") if name in os.environ}
    return stack.up(root, environ=kept, console=Console(file=io.StringIO()))


def nothing_runs(root: Path) -> bool:
    return all(server.state == "stopped" for server in stack.status(root))


def written_again(writers: Writers, server: str) -> int:
    """Return the first new number that the server acknowledges; none is sent twice."""
    numbers = count(MOST)
    return until(lambda: (number := next(numbers)) * writers.write(server, number), within_s=60)


@pytest.mark.faults
def test_full_disk_is_reported_and_nothing_acknowledged_is_lost(disk: Path, fault_row: Row) -> None:
    row, root = fault_row("full disk under the servers"), disk / ".signals"
    acknowledged: dict[str, list[int]] = {name: [] for name in stack.SERVERS}
    writers = Writers(dict(up(root).environment), fresh=True)
    for number in range(MOST):
        if number == BEFORE:
            assert {len(numbers) for numbers in acknowledged.values()} == {BEFORE}
            room_mb = shutil.disk_usage(disk).free // 2**20
            (disk / "filler").write_bytes(bytes((room_mb - SPARE_MB) * 2**20))
            row.injected += 1
            writing = set(stack.SERVERS)
        for name in sorted(stack.SERVERS if number < BEFORE else writing):
            if writers.write(name, number):
                acknowledged[name].append(number)
            else:
                writing.discard(name)
        if number >= BEFORE and not writing:
            break
    else:
        pytest.fail(f"not refused on a full disk: {writing}")
    writers.close()
    states = {server.name: server.state for server in stack.status(root)}
    print({name: (states[name], len(numbers)) for name, numbers in acknowledged.items()})

    with pytest.raises(LocalStackError, match=rf"^{root}.*make room"):
        up(root)
    output = CliRunner().invoke(app, ["status", "--folder", str(root)]).output
    assert "MB are needed: make room, then start what has stopped with `signals up`" in output
    assert {server.name: server.state for server in stack.status(root)} == states

    (disk / "filler").unlink()
    healed = time.monotonic()
    writers = Writers(dict(up(root).environment), fresh=False)
    for name in stack.SERVERS:
        acknowledged[name].append(written_again(writers, name))
    row.recoveries_s.append(time.monotonic() - healed)
    found = writers.found()
    writers.close()
    lost = {name: sorted(set(numbers) - set(found[name])) for name, numbers in acknowledged.items()}
    double = {name: [number for number, times in found[name].items() if times != 1] for name in found}
    row.judged(
        acknowledged=sum(map(len, acknowledged.values())),
        lost=sum(map(len, lost.values())),
        double=sum(map(len, double.values())),
    )
    assert not any(lost.values()), lost
    assert not any(double.values()), double


@pytest.mark.faults
def test_read_only_disk_is_reported_and_the_data_survives(disk: Path, fault_row: Row) -> None:
    row, root = fault_row("read-only data folder at start"), disk / ".signals"
    writers = Writers(dict(up(root).environment), fresh=True)
    acknowledged = {name: [n for n in range(BEFORE) if writers.write(name, n)] for name in stack.SERVERS}
    writers.close()
    stack.down(root)

    def remount(mode: str) -> bool:
        return subprocess.run(["mount", "-o", f"remount,{mode}", disk], check=False).returncode == 0

    until(lambda: remount("ro"), every_s=0.5)  # what the ended processes had open is closed a little later
    try:
        row.injected += 1
        with pytest.raises(LocalStackError, match=rf"^{root}/\S+: Read-only file system: make it writable"):
            up(root)
        assert nothing_runs(root)
    finally:
        assert remount("rw")
    healed = time.monotonic()
    writers = Writers(dict(up(root).environment), fresh=False)
    row.recoveries_s.append(time.monotonic() - healed)
    found = writers.found()
    writers.close()
    wrong = {name: found[name] - Counter(numbers) for name, numbers in acknowledged.items()}
    lost = {name: Counter(numbers) - found[name] for name, numbers in acknowledged.items()}
    row.judged(
        acknowledged=sum(map(len, acknowledged.values())),
        lost=sum(map(Counter.total, lost.values())),
        double=sum(map(Counter.total, wrong.values())),
    )
    assert acknowledged == {name: list(range(BEFORE)) for name in stack.SERVERS}
    assert found == {name: Counter(numbers) for name, numbers in acknowledged.items()}


@pytest.mark.faults_quick
@pytest.mark.parametrize("known", [False, True], ids=["first start", "known stack"])
def test_read_only_folder_is_reported_to_its_owner(known: bool) -> None:
    """No mount needed: what an ordinary user meets; as root the test takes an ordinary user's rights."""
    with TemporaryDirectory() as name:
        root = Path(name) / ".signals"
        root.mkdir()
        if known:
            for left in ("lock", "state.json"):
                (root / left).write_text('{"data": "' + str(root / "data") + '", "password": "p"}')
        Path(name).chmod(0o755)
        us = os.geteuid()
        ordinary = us or pwd.getpwnam(ACCOUNT_NAME).pw_uid
        for path in (root, *root.iterdir()):
            os.chown(path, ordinary, -1)
        root.chmod(0o500)
        os.seteuid(ordinary)
        try:
            with pytest.raises(LocalStackError, match=rf"^{root}\S+: Permission denied: make it writable"):
                up(root)
            assert nothing_runs(root)
        finally:
            os.seteuid(us)
            root.chmod(0o700)


@pytest.mark.faults_quick
def test_too_little_disk_space_is_reported_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "FRESH_DATA_BYTES", 2**60)
    root = tmp_path / ".signals"
    with pytest.raises(LocalStackError, match="MB are needed: make room"):
        up(root)
    assert nothing_runs(root)
    stack.reset(root)
