"""The rows in the table's order: a new one is a module with `ROW` (or several in `ROWS`), named here."""

from importlib import import_module
from typing import Final

from benchmarks.rounds import Row

MODULES: Final = (
    "engine",
    "ticks",
    "rules",
    "ingest",
    "doors",
    "indexer",
    "core",
    "console",
    "console_browser",
    "latency",
    "latency_summary",
    "latency_findings",
    "notices",
    "comparison",
    "whole",
    "footprint",
    "contention",
    "growth",
    "start",  # last: it takes longest, and the run as a whole has a deadline
)


def all_rows() -> dict[str, Row]:
    """Import the modules and return their rows by name."""
    modules = [import_module(f"{__name__}.{name}") for name in MODULES]
    rows = [row for module in modules for row in (getattr(module, "ROWS", None) or (module.ROW,))]
    return {row.name: row for row in rows}
