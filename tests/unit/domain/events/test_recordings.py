"""Every recorded request of a real client means the events that the rules say."""

import json
import uuid

import orjson
import pytest

from shared_types import canonicalize, fingerprint
from signals.domain.events.foreign import RawEvent
from signals.domain.events.from_otlp import read_otlp
from signals.domain.events.from_sentry import read_envelope
from signals.domain.events.plain_events import PlainEvents
from signals.domain.events.sentry_envelopes import split_envelope
from tests.support.recordings import RECEIPT, Recording, recording, recordings

FOREIGN = [one for one in recordings() if one.door]
SECRETS = ("4111111111111111", "jane@example.org", "secret_token", "context_line", "u-77", "coupon=X")


def _fingerprint(event: RawEvent) -> str | None:
    envelope = canonicalize(
        event, tenancy=RECEIPT.tenancy, received_at=RECEIPT.received_at, event_id=uuid.UUID(int=0)
    )
    return fingerprint(envelope)


@pytest.mark.parametrize("one", FOREIGN, ids=lambda one: one.case)
def test_reader_gives_the_expected_events(one: Recording) -> None:
    reading = one.read()
    assert not reading.refused
    assert len(reading.events) == len(one.expected)
    for event, expected in zip(reading.events, one.expected, strict=True):
        # An id of null depends on the tenant; clocks are tested apart.
        known = {
            name: value for name, value in expected.items() if value is not None and name != "occurred_at"
        }
        assert {name: event[name] for name in known} == known
        assert (_fingerprint(event) is None) == (event["event_type"] in ("custom", "feedback"))


@pytest.mark.parametrize("one", FOREIGN, ids=lambda one: one.case)
def test_repeated_request_gives_the_same_ids(one: Recording) -> None:
    first, second = one.read(), one.read()
    ids = [event["event_id"] for event in first.events]
    assert ids == [event["event_id"] for event in second.events]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("one", FOREIGN, ids=lambda one: one.case)
def test_no_secret_of_a_recording_is_kept(one: Recording) -> None:
    kept = json.dumps(one.read().events)
    assert not [secret for secret in SECRETS if secret in kept]


def test_nearly_all_events_take_the_quick_way_into_the_envelope() -> None:
    plain_events = PlainEvents(RECEIPT.tenancy, RECEIPT.received_at)
    events = [event for one in FOREIGN for event in one.read().events]
    plain = [event for event in events if plain_events.record(event, uuid.UUID(int=0))]
    assert len(events) - len(plain) <= 1  # a label with the mark of a lone surrogate


def test_same_fault_from_three_clients_is_one_fingerprint() -> None:
    node = recording("node11-http/002").read().events[0]
    otel = recording("otlp-node-json-gzip/000").read().events[0]
    body = recording("py2-flask/000").body
    header, item, payload = body.split(b"\n")[:3]
    flask = orjson.loads(payload)
    assert orjson.loads(item)["length"] == len(payload)
    flask["exception"]["values"].pop()  # the wrapper that this program raised; the others raise none
    again = b"\n".join([header, b'{"type":"event"}', orjson.dumps(flask)])
    python = read_envelope(split_envelope(again), RECEIPT).events[0]
    assert {_fingerprint(event) for event in (node, otel, python)} == {"PaymentDeclined|/checkout/{id}|prod"}


def test_attachment_that_looks_like_an_item_is_no_event() -> None:
    reading = recording("py2-attachment/000").read()
    assert (len(reading.events), reading.ignored) == (1, {"attachment": 1})


def test_event_of_three_megabytes_is_trimmed_and_kept() -> None:
    one = recording("py2-big/000")
    event = one.read().events[0]
    assert len(one.body) > 3_000_000
    assert event["payload"]["trimmed"] is True  # type: ignore[index]  # an event's payload is an object
    assert len(orjson.dumps(event)) < 16_384


def test_rebatched_log_records_keep_their_ids() -> None:
    body = recording("otlp-py-http/000").body
    alone = [event["event_id"] for event in read_otlp(body, "logs", RECEIPT, is_json=False).events]
    doubled = read_otlp(body + body, "logs", RECEIPT, is_json=False)
    assert [event["event_id"] for event in doubled.events[: len(alone)]] == alone
    assert len({event["event_id"] for event in doubled.events}) == 2 * len(alone)
