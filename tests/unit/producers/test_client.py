"""The client against a real HTTP server that refuses, resets, hangs and answers in parts."""

import asyncio
import json
import time
from collections.abc import Sequence

import pytest
from aiohttp import web

from producers.client import IngestClient, IngestEndpoint, SendRefused
from producers.tally import Rejection, SendTally
from tests.unit.producers.ingest_server import API_KEY, Handler, IngestServer, problem


def _event(number: int, **changes: object) -> bytes:
    event = {
        "event_id": f"00000000-0000-4000-8000-{number:012}",
        "event_type": "custom",
        "occurred_at": "2025-12-27T10:00:00Z",
        "message": f"event {number}",
    }
    return json.dumps({**event, **changes}).encode()


def _deliver(
    server: IngestServer,
    bodies: Sequence[bytes],
    *,
    api_key: str = API_KEY,
    request_timeout_s: float = 5.0,
    give_up_after_s: float = 20.0,
) -> tuple[bool, SendTally]:
    tally = SendTally()

    async def deliver() -> bool:
        client = IngestClient(
            IngestEndpoint(url=server.url, api_key=api_key),
            tally,
            asyncio.Event(),
            request_timeout_s=request_timeout_s,
            give_up_after_s=give_up_after_s,
        )
        async with client:
            return await client.deliver(bodies)

    return asyncio.run(deliver()), tally


def _answering(status: int, headers: dict[str, str] | None = None, **members: object) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        return problem(status, headers, **members)

    return answer


async def _reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _hang(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("never reached")


def test_all_events_of_a_batch_are_accepted(server: IngestServer) -> None:
    settled, tally = _deliver(server, [_event(number) for number in range(100)])
    assert settled
    assert tally.is_complete
    assert (tally.sent, tally.accepted, tally.retries, server.requests) == (100, 100, 0, 1)
    assert tally.latency_ms(0.99) is not None


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_passing_fault_is_retried_with_the_same_ids(server: IngestServer, status: int) -> None:
    server.faults = [_answering(status), _answering(status)]
    settled, tally = _deliver(server, [_event(1), _event(2)])
    assert settled
    assert (tally.accepted, tally.retries) == (2, 2)
    assert [envelope.event_id.int & 0xF for envelope in server.envelopes] == [1, 2]


def test_wait_is_as_long_as_the_server_asks(server: IngestServer) -> None:
    server.faults = [_answering(429, {"Retry-After": "1"})]
    began_s = time.monotonic()
    assert _deliver(server, [_event(1)])[0]
    assert time.monotonic() - began_s >= 1.0


def test_wait_beyond_the_deadline_is_not_started(server: IngestServer) -> None:
    server.faults = [_answering(503, {"Retry-After": "3600"})]
    settled, tally = _deliver(server, [_event(1)])
    assert not settled
    assert (tally.unsettled, tally.trouble) == (1, "HTTP 503")


@pytest.mark.parametrize("fault", [_reset, _hang])
def test_request_without_an_answer_is_retried(server: IngestServer, fault: Handler) -> None:
    server.faults = [fault]
    settled, tally = _deliver(server, [_event(1)], request_timeout_s=3.0)
    assert settled
    assert (tally.accepted, tally.retries, server.requests) == (1, 1, 2)


def test_events_are_lost_without_a_listener() -> None:
    settled, tally = _deliver(IngestServer(url="http://127.0.0.1:9"), [_event(1)], give_up_after_s=0.5)
    assert not settled
    assert tally.unsettled == 1
    assert "Connect" in str(tally.trouble)


def test_rejected_events_of_a_batch_are_counted_by_reason(server: IngestServer) -> None:
    bodies = [_event(1), _event(2, event_type="nonsense"), _event(3, message=""), _event(4, message="")]
    settled, tally = _deliver(server, bodies)
    assert settled
    assert (tally.accepted, tally.rejected, tally.retries) == (1, 3, 0)
    assert tally.rejections[Rejection("missing", "message", "message must not be blank.")] == 2


def test_batch_without_any_acceptable_event_is_not_retried(server: IngestServer) -> None:
    settled, tally = _deliver(server, [_event(1, message="")])
    assert settled
    assert (tally.accepted, tally.rejected, server.requests) == (0, 1, 1)


def test_only_unacknowledged_events_are_sent_again(server: IngestServer) -> None:
    results = [{"index": 0, "status": "accepted"}, {"index": 1, "status": "unavailable"}]
    server.faults = [_answering(503, accepted=1, rejected=1, results=results)]
    settled, tally = _deliver(server, [_event(1), _event(2)])
    assert settled
    assert tally.accepted == 2
    assert [envelope.message for envelope in server.envelopes] == ["event 2"]


@pytest.mark.parametrize("status", [400, 413, 415])
def test_refused_request_rejects_all_its_events(server: IngestServer, status: int) -> None:
    server.faults = [_answering(status, detail="Too much.")]
    settled, tally = _deliver(server, [_event(1), _event(2)])
    assert settled
    assert tally.rejections == {Rejection(f"http_{status}", None, "Too much."): 2}


def test_wrong_key_ends_the_run_and_names_the_variable(server: IngestServer) -> None:
    with pytest.raises(SendRefused, match="PROJECT_API_KEY"):
        _deliver(server, [_event(1)], api_key="wrong")


async def _web_page(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<h1>Welcome</h1>", content_type="text/html")


@pytest.mark.parametrize("fault", [_web_page, _answering(404), _answering(405)])
def test_wrong_server_is_recognized_and_its_variable_named(server: IngestServer, fault: Handler) -> None:
    server.faults = [fault]
    with pytest.raises(SendRefused, match="INGEST_API_URL"):
        _deliver(server, [_event(1)])


def test_key_is_hidden_in_the_endpoint() -> None:
    assert "s3cret" not in repr(IngestEndpoint(url="http://127.0.0.1", api_key="s3cret"))
