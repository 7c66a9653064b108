"""Records of OTLP requests in any encoding, and which of them are kept."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from signals.domain.events.log_records import ERROR_FROM, EXCEPTION, LogRecord

Signal = Literal["logs", "traces"]
Members = Mapping[str, object]

SEVERITY_PREFIX: Final = "SEVERITY_NUMBER_"  # of names of the enumeration, as some write it in JSON
SERVER: Final = (2, "SPAN_KIND_SERVER")  # Span.SpanKind
FAILED: Final = (2, "STATUS_CODE_ERROR")  # Status.StatusCode
_LEVELS: Final = (
    *(("fatal", 21), ("crit", 21), ("emerg", 21), ("alert", 21), ("panic", 21), ("err", 17)),
    *(("severe", 17), ("warn", 13)),
    *(("info", 9), ("notice", 9), ("debug", 5), ("trace", 1)),
)


class Found(NamedTuple):
    """A record with its surroundings, and the bytes that name it."""

    resource: Members
    record: LogRecord
    identity: tuple[bytes, ...]


def is_kept(severity: int, names: Collection[str], event_name: str) -> bool:
    return (
        severity >= ERROR_FROM or bool(event_name) or not EXCEPTION.isdisjoint(names) or "event.name" in names
    )


def severity_of(number: object, text: object) -> int:
    """Return the severity number; text alone works as well."""
    if isinstance(number, int) and not isinstance(number, bool) and number > 0:
        return number
    named = number if isinstance(number, str) and number.startswith(SEVERITY_PREFIX) else text
    lowered = named.strip().removeprefix(SEVERITY_PREFIX).lower() if isinstance(named, str) else ""
    return next((level for word, level in _LEVELS if lowered.startswith(word)), 0)


class Where(NamedTuple):
    """The span that an exception happened in."""

    attributes: Members
    trace_id: str
    scope: str
    name: str
    status: str


def span_records(
    where: Where, faults: Sequence[tuple[object, Members]], ended: object
) -> Iterator[LogRecord]:
    """Yield a record for each exception of a span; a failed span without one is a record itself."""
    for timestamp, attributes in faults or [(ended, {})]:
        yield LogRecord(
            door="otlp",
            timestamp=timestamp,
            severity_number=ERROR_FROM,
            body=attributes.get("exception.message") or where.status or where.name or "failed span",
            attributes={**where.attributes, **attributes},
            trace_id=where.trace_id,
            scope=where.scope,
        )
