"""A connection that notes how every statement reads the large tables."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.rows import TupleRow

TABLES: Final = (
    "metrics_buckets",
    "incidents",
    "incident_events",
    "ai_jobs",
    "rule_series",
    "rule_state",
    "rule_minutes",
    "metrics_hours",
    "outages",
    "outage_members",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One node of a plan that reads a table; `rows` counts those it returned and those it threw away."""

    node: str
    table: str
    index: str | None
    rows: int


class ExplainingConnection(psycopg.Connection[TupleRow]):
    """Explains every statement, by running it once more and rolling that back, before it runs it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.scans: list[Scan] = []

    def execute(self, query: Any, params: Any = None, **options: Any) -> psycopg.Cursor[TupleRow]:
        if query.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "WITH")):
            with self.transaction(force_rollback=True):
                explained = super().execute("EXPLAIN (ANALYZE, FORMAT JSON) " + query, params).fetchone()
            assert explained is not None
            self.scans += _scans(explained[0][0]["Plan"])
        return super().execute(query, params, **options)

    def taken(self) -> list[Scan]:
        """Return how the statements since the last call read the large tables."""
        scans, self.scans = self.scans, []
        return [scan for scan in scans if scan.table in TABLES]


def _scans(plan: Mapping[str, Any]) -> Iterator[Scan]:
    if "Relation Name" in plan and plan["Node Type"] != "ModifyTable":
        removed = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        rows = round((plan["Actual Rows"] + removed) * plan["Actual Loops"])
        yield Scan(
            node=plan["Node Type"], table=plan["Relation Name"], index=plan.get("Index Name"), rows=rows
        )
    for child in plan.get("Plans", []):
        yield from _scans(child)
