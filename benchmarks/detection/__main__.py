"""`make score`: prints the corpus figures and fails when one fell; `--write` keeps them and their tables."""

import sys
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.detection.figures import (
    KEPT,
    THROUGH_ENGINE,
    compare_engine,
    engine_series,
    fallen,
    kept_figures,
    measure,
    tables,
)
from benchmarks.detection.through_engine import confirmed_on_servers

PAGE: Final = Path(__file__).parents[2] / "docs/concepts/detection.md"
BEGIN: Final = "<!-- figures: make score -->"
END: Final = "<!-- end of figures -->"


def main(arguments: list[str]) -> int:
    """Measure; return the exit code."""
    now = measure()
    now.engine, now.same = compare_engine(confirmed_on_servers(engine_series()))
    print(tables(now))
    if "--write" in arguments:
        KEPT.write_bytes(msgspec.json.format(msgspec.json.encode(now), indent=1) + b"\n")
        before, _, rest = PAGE.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n{tables(now)}\n{END}{after}")
        return 0
    kept = kept_figures()
    worse = fallen(kept.held, now.held) + fallen(kept.engine, now.engine)
    if now.same < len(THROUGH_ENGINE):
        worse.append(f"same incidents through the engine: {now.same} of {len(THROUGH_ENGINE)} series")
    for line in worse:
        print(f"fell: {line}", file=sys.stderr)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
