"""A Flask program under sentry-sdk: its checkout fails for every order. `sentry_shop.py DSN ORDERS PAUSE_S`.

Prints as JSON how many errors it reported, and how many of them the client itself says it lost, by reason.
"""

import json
import sys
import time
from collections import Counter
from typing import Any

import sentry_sdk
from flask import Flask


class PaymentDeclined(Exception):  # noqa: N818  # as an application would name it
    """The bank says no."""


def _program() -> Flask:
    app = Flask(__name__)

    @app.post("/checkout/<int:order>")
    def checkout(order: int) -> str:
        raise PaymentDeclined(f"order {order} of jo@shop.example")

    return app


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
    client = _program().test_client()
    for order in range(48_000, 48_000 + orders):
        assert client.post(f"/checkout/{order}").status_code == 500
        time.sleep(pause_s)
    sentry_sdk.flush(60)
    print(json.dumps({"reported": reported, "lost": lost}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
