"""A busy machine: processes that compute without end, for as long as a block runs."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LONGEST_S: Final = 300  # each ends by itself then, whatever happens to the test
BURN: Final = f"import time; end = time.monotonic() + {LONGEST_S}\nwhile time.monotonic() < end: pass"


@contextmanager
def busy_machine(processes: int) -> Iterator[None]:
    """Keep so many processes computing, at our own niceness."""
    burners = [subprocess.Popen([sys.executable, "-S", "-c", BURN]) for _ in range(processes)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
        for burner in burners:
            burner.wait()
