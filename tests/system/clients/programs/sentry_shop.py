"""A Flask program under sentry-sdk: its checkout fails for every order. `sentry_shop.py DSN ORDERS PAUSE_S`.

Prints the ids of the reported errors, one a line.
"""

import sys
import time
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
    sent: list[str] = []

    def noted(event: Any, _: object) -> Any:
        sent.append(event["event_id"])
        return event

    sentry_sdk.init(
        dsn=dsn,
        release="shop@2.4.1",
        environment="production",
        traces_sample_rate=1.0,
        before_send=noted,
    )
    client = _program().test_client()
    for order in range(48_000, 48_000 + orders):
        assert client.post(f"/checkout/{order}").status_code == 500
        time.sleep(pause_s)
    sentry_sdk.flush(60)
    print("\n".join(sent))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
