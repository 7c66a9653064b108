"""Deploys read from events, and the first bad minute that they are held against."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from shared_types import Tenancy, canonicalize
from signals.domain.deploys.beginning import beginning_of
from signals.domain.deploys.deploy import Deploy, deploy_of
from signals.domain.detection.buckets import instant_of, minute_of

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FIRED = minute_of(NOON)
SPIKE = dict.fromkeys(range(FIRED - 70, FIRED - 3), 1) | dict.fromkeys(range(FIRED - 3, FIRED + 1), 40)


def _event(attributes: Mapping[str, object], payload: Mapping[str, object], severity: str = "info") -> Deploy:
    body: dict[str, Any] = {
        "event_type": "deploy",
        "occurred_at": NOON.isoformat(),
        "environment": "prod",
        "severity": severity,
        "message": "Deployed",
        "attributes": dict(attributes),
        "payload": dict(payload),
    }
    return deploy_of(canonicalize(body, tenancy=Tenancy("o", "p"), received_at=NOON, event_id=UUID(int=1)))


def deploy(minutes: float, *, service: str | None = None, release: str = "r1", number: int = 1) -> Deploy:
    """Make a deploy so many minutes before the first bad minute."""
    return Deploy(
        project_id="p",
        event_id=UUID(int=number),
        environment="prod",
        release=release,
        previous=None,
        service=service,
        status="success",
        by_whom=None,
        link=None,
        occurred_at=instant_of(FIRED - 3) - timedelta(minutes=minutes),
        received_at=NOON,
    )


@pytest.mark.parametrize(
    ("attributes", "payload", "expected"),
    [
        (
            {"release": "r2"},
            {"service": "shop", "previous_release": "r1"},
            ("r2", "r1", "shop", "success", None),
        ),
        ({"release": "r2", "service": "a"}, {"service": "b"}, ("r2", None, "a", "success", None)),
        (
            {"release": "r2"},
            {"status": "failure", "url": "https://ci/1"},
            ("r2", None, None, "failure", "https://ci/1"),
        ),
        ({"release": "r2"}, {"url": "javascript:alert(1)"}, ("r2", None, None, "success", None)),
        ({}, {"service": 7, "previous": "  "}, (None, None, None, "success", None)),
        (
            {"release": "r2"},
            {"service": "a\x1b[31m\nb" + "x" * 300},
            ("r2", None, "a [31m b" + "x" * 120, "success", None),
        ),
    ],
)
def test_deploy_reads_what_its_event_says(
    attributes: dict[str, object], payload: dict[str, object], expected: tuple[object, ...]
) -> None:
    found = _event(attributes, payload)
    assert (found.release, found.previous, found.service, found.status, found.link) == expected


def test_event_of_an_error_is_a_failed_deploy() -> None:
    assert _event({"release": "r2"}, {}, severity="error").status == "failure"


def test_gap_is_counted_from_the_first_bad_minute_and_not_from_the_opening() -> None:
    began = beginning_of(SPIKE, FIRED, is_drop=False, deploys=[deploy(4)])
    assert began.first_bad_at == instant_of(FIRED - 3)
    assert [(d.release, d.minutes_before) for d in began.deploys] == [("r1", 4)]


def test_drop_begins_where_counts_fall() -> None:
    counts = dict.fromkeys(range(FIRED - 70, FIRED - 14), 10)
    began = beginning_of(counts, FIRED, is_drop=True, deploys=[])
    assert (began.first_bad_at, began.deploys) == (instant_of(FIRED - 14), [])


def test_order_of_arrival_does_not_matter() -> None:
    known = [deploy(50, release="r0", number=3), deploy(4, number=1), deploy(9, service="cart", number=2)]
    answers = [beginning_of(SPIKE, FIRED, is_drop=False, deploys=order) for order in permutations(known)]
    assert all(answer == answers[0] for answer in answers)
    assert [(d.service, d.minutes_before) for d in answers[0].deploys] == [(None, 4), ("cart", 9)]


@pytest.mark.parametrize(("minutes", "named"), [(60, True), (60.1, False), (-0.5, True), (-1, False)])
def test_only_the_hour_before_counts(minutes: float, named: bool) -> None:
    began = beginning_of(SPIKE, FIRED, is_drop=False, deploys=[deploy(minutes)])
    assert bool(began.deploys) is named
