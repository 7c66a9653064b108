"""The table of all faults of a run: one row a fault, printed at the end and kept as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

COLUMNS: Final = (
    "fault",
    "injected",
    "acknowledged",
    "lost",
    "double",
    "failed",
    "recovery p50 s",
    "max s",
    "peak MB",
)


@dataclass(slots=True, kw_only=True)
class FaultRow:
    """The result of one fault. `lost` and `double` are None until there is a verdict.

    `failed` counts requests of a client that repeats none; None where there was no such client.
    """

    fault: str
    injected: int = 0
    acknowledged: int = 0
    lost: int | None = None
    double: int | None = None
    failed: int | None = None
    recoveries_s: list[float] = field(default_factory=list)
    peak_memory_mb: float | None = None

    def judged(self, *, acknowledged: int, lost: int, double: int) -> None:
        """Add a trial's verdict; a row may cover several trials."""
        self.acknowledged += acknowledged
        self.lost = (self.lost or 0) + lost
        self.double = (self.double or 0) + double

    def used_memory(self, peak_mb: float) -> None:
        """Keep the highest figure."""
        self.peak_memory_mb = max(peak_mb, self.peak_memory_mb or 0.0)

    def cells(self) -> tuple[str, ...]:
        """Return what is printed."""
        times = sorted(self.recoveries_s)
        return (
            self.fault,
            str(self.injected),
            str(self.acknowledged),
            _shown(self.lost),
            _shown(self.double),
            "-" if self.failed is None else str(self.failed),
            f"{median(times):.1f}" if times else "-",
            f"{times[-1]:.1f}" if times else "-",
            f"{self.peak_memory_mb:.0f}" if self.peak_memory_mb is not None else "-",
        )


def _shown(count: int | None) -> str:
    return "no verdict" if count is None else str(count)


@dataclass(slots=True)
class FaultTable:
    """All rows of a run, in the order in which the faults began."""

    rows: list[FaultRow] = field(default_factory=list)

    def row(self, fault: str) -> FaultRow:
        """Return the row of a fault, new or begun earlier."""
        for row in self.rows:
            if row.fault == fault:
                return row
        self.rows.append(FaultRow(fault=fault))
        return self.rows[-1]

    def lines(self) -> list[str]:
        """Return the table and its total as Markdown."""
        total = FaultRow(fault="total", recoveries_s=[s for row in self.rows for s in row.recoveries_s])
        total.injected = sum(row.injected for row in self.rows)
        total.acknowledged = sum(row.acknowledged for row in self.rows)
        if all(row.lost is not None and row.double is not None for row in self.rows):
            total.lost = sum(row.lost or 0 for row in self.rows)
            total.double = sum(row.double or 0 for row in self.rows)
        for row in self.rows:
            total.used_memory(row.peak_memory_mb or 0.0)
        return markdown([COLUMNS, *(row.cells() for row in self.rows), total.cells()])

    def write(self, path: Path) -> None:
        """Write the figures as JSON, for comparisons between runs."""
        rows = [
            {
                "fault": row.fault,
                "injected": row.injected,
                "acknowledged": row.acknowledged,
                "lost": row.lost,
                "double": row.double,
                "failed": row.failed,
                "recoveries_s": [round(seconds, 2) for seconds in row.recoveries_s],
                "peak_memory_mb": row.peak_memory_mb and round(row.peak_memory_mb, 1),
            }
            for row in self.rows
        ]
        path.write_text(json.dumps(rows, indent=2) + "\n")


def markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table; the first row is its head, the first column its names."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *numbers = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in numbers)]
        return f"| {' | '.join(padded)} |"

    rule = f"|{'|'.join('-' * (width + 1) + (':' if n else '-') for n, width in enumerate(widths))}|"
    return [line(rows[0]), rule, *(line(row) for row in rows[1:])]
