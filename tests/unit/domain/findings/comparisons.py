"""Small worlds for the tests of causes: rows of equal requests, spread over an hour and five minutes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from signals.domain.findings.collecting import compare
from signals.domain.findings.comparison import Comparison
from signals.domain.findings.series import ComparedSeries, Observed

START = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)
ONSET_MINUTE = 70
NOW_MINUTE = 74
SERIES = ComparedSeries(is_drop=False, error_code="BROKEN", route="/pay")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """So many equal events from one minute to another; `fails` with this message, else they work."""

    count: int
    attributes: dict[str, object] = field(default_factory=dict)
    fails: str | None = None
    first: int = ONSET_MINUTE
    last: int = NOW_MINUTE
    kind: str | None = None


def events_of(rows: Iterable[Row]) -> list[Observed]:
    """Spread each row's events evenly over its minutes."""
    found = []
    for number, row in enumerate(rows):
        seconds = (row.last - row.first + 1) * 60
        for index in range(row.count):
            at = START + timedelta(minutes=row.first, seconds=index * seconds / row.count)
            attributes = dict(row.attributes)
            if row.kind not in ("deploy", "custom"):
                attributes = {"route": "/pay", **attributes}
            if row.fails is not None:
                attributes["error_code"] = "BROKEN"
            found.append(
                Observed(
                    event_id=f"{number:04d}{index:08d}",
                    at=at,
                    event_type=row.kind or ("http_request" if row.fails is None else "error"),
                    message=row.fails or str(row.attributes.get("message", "POST /pay 200")),
                    attributes=attributes,
                )
            )
    return sorted(found, key=lambda event: event.at)


def comparison_of(*rows: Row) -> Comparison:
    """Compare the rows at the end of minute `NOW_MINUTE`."""
    return compare(events_of(rows), SERIES, int(START.timestamp()) // 60 + NOW_MINUTE)


def hour(**attributes: object) -> Row:
    """Return 1,000 working requests of the hour before."""
    return Row(count=1000, attributes=attributes, first=5, last=ONSET_MINUTE - 1)
