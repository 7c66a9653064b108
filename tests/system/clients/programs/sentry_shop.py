"""A Flask program under sentry-sdk: its checkout fails for every order. `sentry_shop.py DSN ORDERS PAUSE_S`.

Prints as JSON how many errors it reported; how many of them the client counts as lost, by reason; how many of
those its client reports named, in requests that were sent and in requests that the door answered.
"""

import json
import sys
import time
from collections import Counter
from typing import Any

import sentry_sdk
from flask import Flask

ERROR = "error"  # the category of the losses that are compared
FLUSH_S = 20.0
FLUSHES = 40  # a quarter of an hour at most, for a machine under load
OK = 200


class PaymentDeclined(Exception):  # noqa: N818  # as an application would name it
    """The bank says no."""


def _program() -> Flask:
    app = Flask(__name__)

    @app.post("/checkout/<int:order>")
    def checkout(order: int) -> str:
        raise PaymentDeclined(f"order {order} of jo@shop.example")

    return app


def _losses(envelope: Any) -> Counter[str]:
    """Return the errors that the client reports of an envelope call lost, by reason."""
    losses: Counter[str] = Counter()
    for item in envelope.items if envelope else ():
        if item.type == "client_report":
            for loss in json.loads(item.payload.get_bytes())["discarded_events"]:
                if loss["category"] == ERROR:
                    losses[loss["reason"]] += loss["quantity"]
    return losses


def _is_done(transport: Any) -> bool:
    """Whether nothing waits, neither an envelope nor a loss that no report has named."""
    unreported = any(category == ERROR for category, _ in transport._discarded_events)
    return not unreported and transport._worker._queue.unfinished_tasks == 0


def _report_every_loss(transport: Any) -> None:
    """Flush until it is done: a flush reports what was lost before it, and what it sends may be lost, too."""
    for _ in range(FLUSHES):
        sentry_sdk.flush(FLUSH_S)
        if _is_done(transport):
            return
    raise RuntimeError(f"losses without a report: {dict(transport._discarded_events)}")


def main(dsn: str, orders: int, pause_s: float) -> None:
    """Let every order fail."""
    reported = 0
    lost: Counter[str] = Counter()

    def noted(event: Any, _: object) -> Any:
        nonlocal reported
        reported += 1
        return event

    sentry_sdk.init(
        dsn=dsn,
        release="shop@2.4.1",
        environment="production",
        traces_sample_rate=1.0,
        before_send=noted,
    )
    transport = sentry_sdk.get_client().transport
    assert transport is not None
    record = transport.record_lost_event

    def counted(reason: str, data_category: Any = None, item: Any = None, *, quantity: int = 1) -> None:
        if ERROR in (data_category, item and item.data_category):
            lost[reason] += quantity
        record(reason, data_category, item, quantity=quantity)

    send, handle = transport._send_request, transport._handle_response
    sent: Counter[str] = Counter()
    answered: Counter[str] = Counter()

    def sending(*arguments: Any, envelope: Any = None, **named: Any) -> None:
        sent.update(_losses(envelope))
        send(*arguments, envelope=envelope, **named)

    def handling(response: Any, envelope: Any) -> None:
        if (
            response.status == OK or "X-Sentry-Error" in response.headers
        ):  # a proxy in front adds no such line
            answered.update(_losses(envelope))
        handle(response=response, envelope=envelope)

    transport.record_lost_event = counted
    transport._send_request, transport._handle_response = sending, handling
    client = _program().test_client()
    for order in range(48_000, 48_000 + orders):
        assert client.post(f"/checkout/{order}").status_code == 500
        time.sleep(pause_s)
    _report_every_loss(transport)
    print(json.dumps({"reported": reported, "lost": lost, "sent": sent, "answered": answered}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
