"""Where an incident goes when it opens, and what the outage is called."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import pytest

from signals.domain.incidents.outage_words import explanation_of, title_of
from signals.domain.incidents.outages import EVERYTHING
from signals.domain.incidents.placing import (
    FormerIncident,
    KnownOutage,
    Place,
    SeriesIncident,
    attributes_of,
    place,
    returns,
)

MINUTE: Final = 29_000_000
NOW: Final = datetime.fromtimestamp(MINUTE * 60, UTC)
OUTAGE, OTHER = UUID(int=1), UUID(int=2)
INCIDENT: Final = SeriesIncident(
    id=UUID(int=9),
    project_id="shop",
    environment="prod",
    fingerprint="DB_DOWN|/cart|prod",
    opened_at=NOW,
    verdict="confirmed",
)
FORMER: Final = FormerIncident(
    outage_id=OUTAGE,
    window_id=OUTAGE,
    opened_at=MINUTE - 300,
    reason="quiet",
    verdict="confirmed",
    last_seen=MINUTE - 100,
    resolved_at=NOW - timedelta(minutes=30),
    resolve_reason="quiet",
)
SETTLED: Final = KnownOutage(
    id=OUTAGE,
    window_id=OUTAGE,
    cause=("error_code", "DB_DOWN"),
    opened_at=MINUTE - 30,
    newest_at=MINUTE - 20,
    is_decided=True,
    is_settled=True,
)


def test_attributes_of_a_signup_series_are_its_environment() -> None:
    assert attributes_of("signup|prod") == {"environment": "prod"}
    assert attributes_of("-|/a%7Cb|dev") == {"route": "/a|b", "environment": "dev"}


@pytest.mark.parametrize(
    ("former", "expected"),
    [
        (FORMER, True),
        (replace(FORMER, last_seen=MINUTE - 121), False),
        (replace(FORMER, last_seen=MINUTE - 999, resolved_at=None, resolve_reason=None), True),
        (replace(FORMER, resolve_reason="by_hand", resolved_at=NOW - timedelta(seconds=300)), True),
        (replace(FORMER, resolve_reason="by_hand", resolved_at=NOW - timedelta(seconds=301)), False),
        (replace(FORMER, reason="superseded"), False),
        (replace(FORMER, reason="became_usual"), False),
        (replace(FORMER, reason="gone"), False),
        (replace(FORMER, verdict="unconfirmed"), False),
        (replace(FORMER, opened_at=MINUTE + 31), False),  # a replay of older events
    ],
)
def test_incident_returns_to_its_series_former_outage(former: FormerIncident, expected: bool) -> None:
    assert returns(INCIDENT, former, NOW) is expected


def test_unconfirmed_incident_returns_to_an_unconfirmed_outage() -> None:
    incident = replace(INCIDENT, verdict="unconfirmed")
    assert returns(incident, replace(FORMER, verdict="unconfirmed"), NOW)
    assert returns(incident, FORMER, NOW)


@pytest.mark.parametrize(
    ("outage", "joins"),
    [
        (SETTLED, True),
        (replace(SETTLED, newest_at=MINUTE - 31), False),
        (replace(SETTLED, cause=("error_code", "TIMEOUT")), False),
        (replace(SETTLED, cause=EVERYTHING), False),
        (replace(SETTLED, cause=("environment", "prod")), False),
        (replace(SETTLED, cause=EVERYTHING, opened_at=MINUTE - 10, newest_at=MINUTE - 10), True),
        (replace(SETTLED, cause=EVERYTHING, opened_at=MINUTE - 11, newest_at=MINUTE - 9), False),
        (replace(SETTLED, opened_at=MINUTE + 11, newest_at=MINUTE + 11), False),
        (
            replace(SETTLED, resolved_at=NOW - timedelta(minutes=6), resolve_reason="by_hand"),
            False,
        ),
        (replace(SETTLED, resolved_at=NOW - timedelta(minutes=6), resolve_reason="quiet"), True),
    ],
)
def test_latecomer_joins_a_settled_outage_of_its_cause(outage: KnownOutage, joins: bool) -> None:
    expected = Place(outage_id=OUTAGE) if joins else Place(outage_id=None)
    assert place(INCIDENT, None, [outage], NOW) == expected


def test_gathering_window_takes_everything_until_it_is_decided() -> None:
    gathering = KnownOutage(
        id=OTHER, window_id=OTHER, cause=None, opened_at=MINUTE - 10, newest_at=MINUTE - 10
    )
    assert place(INCIDENT, None, [SETTLED, gathering], NOW) == Place(outage_id=OTHER)
    decided = replace(gathering, is_decided=True)
    assert place(INCIDENT, None, [SETTLED, decided], NOW) == Place(outage_id=None, window_id=OTHER)
    of_cause = replace(decided, cause=("route", "/cart"))
    assert place(INCIDENT, None, [of_cause], NOW) == Place(outage_id=OTHER)
    older = replace(gathering, opened_at=MINUTE - 11)
    assert place(INCIDENT, None, [older], NOW) == Place(outage_id=None)


def test_new_outage_links_to_a_confirmed_former_one() -> None:
    long_ago = replace(FORMER, last_seen=MINUTE - 999)
    assert place(INCIDENT, long_ago, [], NOW).regression_of == OUTAGE
    assert place(INCIDENT, replace(long_ago, verdict="unconfirmed"), [], NOW).regression_of is None


def test_title_names_the_cause_and_counts_series() -> None:
    assert title_of(None, series=1, first_title="Checkout fails") == "Checkout fails"
    assert title_of(None, series=3, first_title="Checkout fails") == "Checkout fails (and 2 more series)"
    cause = ("route", "/a{b}")
    assert title_of(cause, series=3, first_title="x") == "Route /a{b}: 3 series left their normal"
    assert title_of(EVERYTHING, series=9, first_title="x") == "The whole project: 9 series left their normal"


def test_explanation_says_how_many_series_of_the_cause_fired() -> None:
    told = explanation_of(("route", "/cart"), fired=3, active=4, series=3, is_settled=True)
    assert (
        told == "3 of 4 series with route /cart that had events in the day before left their normal together."
    )
    pending = explanation_of(None, fired=None, active=None, series=2, is_settled=False)
    assert "not decided yet" in pending
    assert pending.endswith("until 10 minutes after the first.")
    assert (
        explanation_of(None, fired=None, active=None, series=1, is_settled=True)
        == "One series left its normal."
    )
