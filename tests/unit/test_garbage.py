"""The memory of a burst is returned to the system."""

import subprocess
import sys

import pytest

BURST = """
import psutil
from signals.garbage import return_freed_memory

def megabytes():
    return psutil.Process().memory_info().rss / 1e6

before = megabytes()
burst = [bytes(700) for _ in range(100_000)]  # too large for Python's own arenas
above = bytearray(700)  # the newest block of the heap stays: glibc itself returns only what lies above it
of_burst = megabytes() - before
del burst
return_freed_memory()
print((megabytes() - before) / of_burst)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the call does nothing")
def test_memory_of_a_burst_is_returned_although_a_later_block_stays() -> None:
    program = subprocess.run([sys.executable, "-c", BURST], capture_output=True, text=True, check=True)
    assert float(program.stdout) < 0.3
