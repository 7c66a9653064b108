"""A Flask program under sentry-sdk: its checkout fails for every order. `sentry_shop.py DSN ORDERS PAUSE_S`.

Prints as JSON how many errors it reported, how many of them the client itself counts as lost, and how many it
says so of in client reports that were accepted, by reason. A report that was refused, or got no answer, is
`unsure`: the server may have read it.
"""

import json
import sys
import time
from collections import Counter
from typing import Any

import sentry_sdk
from flask import Flask

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
    said: Counter[str] = Counter()
    for item in envelope.items if envelope else ():
        if item.type == "client_report":
            for one in json.loads(item.payload.get_bytes())["discarded_events"]:
                if one["category"] == "error":
                    said[one["reason"]] += one["quantity"]
    return said


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
        if "error" in (data_category, item and item.data_category):
            lost[reason] += quantity
        record(reason, data_category, item, quantity=quantity)

    transport.record_lost_event = counted
    handle, fail = transport._handle_response, transport._handle_request_error
    told: Counter[str] = Counter()
    unsure: Counter[str] = Counter()

    def handled(response: Any, envelope: Any) -> None:
        (told if response.status == OK else unsure).update(_losses(envelope))
        handle(response=response, envelope=envelope)

    def failed(envelope: Any, *args: Any, **named: Any) -> None:
        if args or named.get("loss_reason") == "network":
            unsure.update(_losses(envelope))
        fail(envelope, *args, **named)

    transport._handle_response, transport._handle_request_error = handled, failed
    client = _program().test_client()
    for order in range(48_000, 48_000 + orders):
        assert client.post(f"/checkout/{order}").status_code == 500
        time.sleep(pause_s)
    sentry_sdk.flush(60)
    print(json.dumps({"reported": reported, "lost": lost, "told": told, "unsure": unsure}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
