"""How long-lived processes collect garbage: seldom, because they make many objects and few cycles."""

import gc
from typing import Final

AFTER_OBJECTS: Final = 5_000
"""Instead of 700. Ten times as many would gain nothing more, and let ingest-api grow by 120 MB instead of 24
while it refuses batches of 100 KB: an exception's traceback is such a cycle (both measured)."""


def collect_less_often() -> None:
    """Leave what the process has loaded out of collections, and collect after more new objects.

    Called once, after the imports; source: https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(AFTER_OBJECTS, 20, 20)
