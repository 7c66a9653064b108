"""Reads what Sentry SDKs send: envelopes, and the single events of the older store endpoint.

Source: https://develop.sentry.dev/sdk/data-model/envelopes/ and docs/concepts/foreign-events.md.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from shared_types import InvalidEvent
from signals.domain.events.foreign import (
    OTHER,
    ForeignReading,
    RawEvent,
    Receipt,
    count,
    derived_id,
    known_word,
    member,
    skew_of,
)
from signals.domain.events.log_records import LogRecord, event_of_record
from signals.domain.events.loose_json import read_object
from signals.domain.events.sentry_envelopes import Item, SentryEnvelope
from signals.domain.events.sentry_events import Origin, event_of, feedback_of, severity_of, uuid_of

REPORTED: Final = frozenset({"error", "default", "security", "feedback"})
"""Categories of losses that would have been events here."""

REASONS: Final = frozenset(
    {
        *(
            "queue_overflow",
            "buffer_overflow",
            "cache_overflow",
            "backpressure",
            "too_big",
            "insufficient_data",
        ),
        *("ratelimit_backoff", "network_error", "send_error", "internal_sdk_error", "invalid"),
        *("sample_rate", "before_send", "event_processor", "no_parent_span", "ignored"),
    }
)
"""Why SDKs lose events. Source: https://develop.sentry.dev/sdk/telemetry/client-reports/."""

IGNORED: Final = frozenset(
    {
        *("transaction", "span", "session", "sessions", "attachment", "check_in", "statsd", "metric_buckets"),
        *("trace_metric", "metric_meta", "profile", "profile_chunk", "replay_event", "replay_recording"),
        *("replay_video", "security", "raw_security", "unreal_report", "form_data", "nel", "otel_log"),
    }
)
"""Types of items that are no events here, by name in the ledger; every other is `other`."""

MAX_LOGS: Final = 1_000  # of one envelope, with its other events; SDKs send up to 100
BELOW_ERROR: Final = "log below error"
_DSN_KEY: Final = re.compile(r"[a-z][a-z0-9+.-]*://([^/@:\s]+)(?::[^/@\s]*)?@", re.IGNORECASE)
_LEVEL_NUMBERS: Final = {"critical": 21, "error": 17, "warn": 13, "info": 9, "debug": 5}


def key_of_dsn(dsn: object) -> str | None:
    """Return the key of a DSN, None when there is none."""
    match = _DSN_KEY.match(dsn) if isinstance(dsn, str) else None
    return match[1] if match else None


def read_envelope(envelope: SentryEnvelope, receipt: Receipt) -> ForeignReading:
    """Read the items of an envelope, each by itself.

    Raises InvalidEvent when nothing of it can be read.
    """
    skew = skew_of(envelope.header.get("sent_at"), receipt)
    reading = ForeignReading(refused=envelope.refused)
    if not (envelope.items or envelope.refused):
        count(reading.ignored, "empty envelope")
    for item in envelope.items:
        reader = _READERS.get(item.type)
        if reader is None:
            count(reading.ignored, known_word(item.type, IGNORED))
            continue
        try:
            reader(item, envelope, skew, receipt, reading)
        except InvalidEvent as error:
            count(reading.refused, f"{item.type}: {error.code}")
    if reading.refused and not (reading.events or reading.ignored or reading.lost):
        reasons = ", ".join(sorted(reading.refused))
        raise InvalidEvent("malformed_envelope", None, f"No item of the envelope can be read ({reasons}).")
    return reading


def read_store(body: bytes, receipt: Receipt) -> ForeignReading:
    """Read the one event of the store endpoint. Raises InvalidEvent when it is no JSON object."""
    envelope = SentryEnvelope(items=[Item("event", memoryview(body))])
    reading = ForeignReading()
    _event(envelope.items[0], envelope, timedelta(), receipt, reading)
    return reading


def _event(
    item: Item, envelope: SentryEnvelope, skew: timedelta, receipt: Receipt, reading: ForeignReading
) -> None:
    event = read_object(item.text)
    kind = event.get("type", "event")
    if kind == "feedback":
        reading.events.append(_feedback_event(event, item, envelope, skew, receipt))
    elif kind in ("transaction", "check_in", "profile"):  # the older endpoint takes them as events
        count(reading.ignored, kind)
    else:
        reading.events.append(event_of(event, _origin(item, envelope, skew, receipt), receipt))


def _feedback(
    item: Item, envelope: SentryEnvelope, skew: timedelta, receipt: Receipt, reading: ForeignReading
) -> None:
    event = read_object(item.text)
    reading.events.append(_feedback_event(event, item, envelope, skew, receipt))


def _feedback_event(
    event: Mapping[str, object], item: Item, envelope: SentryEnvelope, skew: timedelta, receipt: Receipt
) -> RawEvent:
    own_id = uuid_of(event.get("event_id"))
    origin = Origin(
        event_id=own_id or _origin(item, envelope, skew, receipt).event_id,
        size_bytes=len(item.payload),
        skew=skew,
    )
    return feedback_of(event, member(event, "contexts", "feedback", "message"), origin, receipt)


def _user_report(
    item: Item, envelope: SentryEnvelope, skew: timedelta, receipt: Receipt, reading: ForeignReading
) -> None:
    report = read_object(item.text)
    about = report.get("event_id")
    # Its event_id is that of the error it is about, which keeps it.
    own_id = derived_id(receipt, "user_report", item.text)
    feedback = {"contexts": {"feedback": {"associated_event_id": about}}}
    origin = Origin(event_id=own_id, size_bytes=len(item.payload), skew=skew)
    reading.events.append(feedback_of(feedback, report.get("comments"), origin, receipt))


def _client_report(
    item: Item, _: SentryEnvelope, __: timedelta, ___: Receipt, reading: ForeignReading
) -> None:
    report = read_object(item.text)
    discarded = report.get("discarded_events")
    for loss in discarded if isinstance(discarded, list) else ():
        category, quantity = known_word(member(loss, "category"), REPORTED), member(loss, "quantity")
        if category != OTHER and isinstance(quantity, int) and quantity > 0:
            reason = known_word(member(loss, "reason"), REASONS)
            count(reading.lost, f"{reason}/{category}", quantity)


def _logs(
    item: Item, envelope: SentryEnvelope, skew: timedelta, receipt: Receipt, reading: ForeignReading
) -> None:
    logs = read_object(item.text).get("items")
    if not isinstance(logs, list):
        raise InvalidEvent("malformed_log", "items", "A log item holds a list of items.")
    digest = hashlib.blake2b(item.payload, digest_size=16).digest()  # once: an item has up to 8 MiB
    for position, log in enumerate(logs):
        if not isinstance(log, dict) or len(reading.events) + reading.ignored[BELOW_ERROR] >= MAX_LOGS:
            count(reading.refused, "log")
            continue
        identity = derived_id(receipt, "log", digest, str(position))
        event = event_of_record(_record(log, skew), {}, identity, receipt)
        if event is None:
            count(reading.ignored, BELOW_ERROR)
        else:
            reading.events.append(event)


def _record(log: Mapping[str, object], skew: timedelta) -> LogRecord:
    raw = log.get("attributes")
    pairs = raw.items() if isinstance(raw, dict) else ()
    attributes = {name: member(value, "value") for name, value in pairs if isinstance(name, str)}
    number = log.get("severity_number", attributes.get("sentry.severity_number"))
    if not isinstance(number, int) or isinstance(number, bool):
        number = _LEVEL_NUMBERS[severity_of(log.get("level"))]
    trace_id = log.get("trace_id")
    return LogRecord(
        door="sentry",
        timestamp=log.get("timestamp"),
        skew=skew,
        severity_number=number,
        body=log.get("body"),
        attributes=attributes,
        template=attributes.get("sentry.message.template"),
        trace_id=trace_id if isinstance(trace_id, str) else "",
    )


def _origin(item: Item, envelope: SentryEnvelope, skew: timedelta, receipt: Receipt) -> Origin:
    spare = uuid_of(envelope.header.get("event_id")) or derived_id(receipt, "sentry", item.text)
    return Origin(event_id=spare, size_bytes=len(item.payload), skew=skew)


_READERS: Final[Mapping[str, Callable[[Item, SentryEnvelope, timedelta, Receipt, ForeignReading], None]]] = {
    "event": _event,
    "feedback": _feedback,
    "user_report": _user_report,
    "client_report": _client_report,
    "log": _logs,
}
