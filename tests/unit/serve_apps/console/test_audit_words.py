"""The audit names things and values, not fields of JSON and ids."""

from typing import Any

import pytest

from serve_apps.console.audit_words import said_of, target_of
from serve_apps.console.history import actor_of

OPS = "0f0f0f0f-0000-4000-8000-000000000001"
GONE = "0f0f0f0f-0000-4000-8000-000000000002"
NAMES = {f"destination:{OPS}": "destination ops", "user:1": "Ann"}


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ({}, ""),
        ({"role": "admin"}, ", as admin"),
        ({"before": "viewer", "after": "admin"}, ": viewer to admin"),
        ({"after": {"destination_id": OPS, "secret_replaced": False}}, ": destination ops"),
        ({"after": {"secret_replaced": True, "rings": True}}, ": secret replaced, rings"),
        (
            {
                "before": {"enabled": True, "min_severity": "warn"},
                "after": {"enabled": False, "min_severity": None},
            },
            ": enabled from yes to no, min severity from warn to nothing",
        ),
        (
            {"before": {"routes": []}, "after": {"routes": ["/cart", "/pay"]}},
            ": routes from nothing to /cart, /pay",
        ),
        (
            {"after": {"settings": {"kind": "webhook", "headers": {}}}},
            ": settings (kind webhook, headers nothing)",
        ),
        ({"before": {"a": 1}, "after": {"a": 1}}, ""),
    ],
)
def test_change_is_said_without_json(detail: dict[str, Any], expected: str) -> None:
    assert said_of(detail, NAMES) == expected


def test_actors_and_targets_have_names_or_their_kind() -> None:
    assert [actor_of(one, NAMES) for one in ("user:1", "user:2", "cli:up", "key:3")] == [
        "Ann",
        "A former member",
        "The command line",
        "An API key",
    ]
    assert target_of(f"destination:{OPS}", NAMES) == "destination ops"
    assert target_of(f"route:{GONE}", NAMES) == "route"
    assert target_of("rule:errors-above-usual", NAMES) == "rule errors-above-usual"
