"""Causes of a drop of signups."""

import pytest

from signals.domain.findings.collecting import compare
from signals.domain.findings.series import ComparedSeries, Observed
from signals.domain.findings.verdict import find
from tests.unit.domain.findings.comparisons import START, Row, events_of

NOW = int(START.timestamp()) // 60 + 74
DROP = ComparedSeries(is_drop=True)


def signups(count: int, first: int, last: int, **attributes: object) -> Row:
    return Row(count=count, attributes=attributes, first=first, last=last, kind="signup")


def events(*rows: Row) -> list[Observed]:
    return events_of([signups(60, 0, 59, channel="mail"), signups(300, 0, 59, channel="ads"), *rows])


def test_missing_channel_is_named() -> None:
    findings = find(compare(events(signups(9, 60, 74, channel="mail")), DROP, NOW))
    segment = findings.causes[0].segment
    assert segment is not None
    assert segment.labels == ("channel=ads",)


def test_even_drop_names_no_cause() -> None:
    rest = (signups(2, 60, 74, channel="mail"), signups(8, 60, 74, channel="ads"))
    assert find(compare(events(*rest), DROP, NOW)).causes == ()


def test_new_errors_before_the_signup_are_named_first() -> None:
    errors = Row(
        count=40, attributes={"route": "/signup"}, fails="captcha provider refused the key", first=60, last=74
    )
    rest = (signups(2, 60, 74, channel="mail"), signups(8, 60, 74, channel="ads"))
    message = find(compare(events(*rest, errors), DROP, NOW)).causes[0].message
    assert message is not None
    assert message.text == "captcha provider refused the key"


def test_louder_errors_elsewhere_are_not_those_of_the_signup() -> None:
    relay = Row(count=43, attributes={"route": "/signup"}, fails="mail relay refused", first=60, last=74)
    export = Row(
        count=112, attributes={"route": "/account/export"}, fails="export bucket missing", first=68, last=74
    )
    rest = (signups(2, 60, 74, channel="mail"), signups(8, 60, 74, channel="ads"))
    message = find(compare(events(*rest, relay, export), DROP, NOW)).causes[0].message
    assert message is not None
    assert message.text == "mail relay refused"


def test_missing_channel_stands_before_errors_elsewhere() -> None:
    errors = Row(
        count=40, attributes={"route": "/pay"}, fails="bank provider refused the key", first=68, last=74
    )
    causes = find(compare(events(signups(9, 60, 74, channel="mail"), errors), DROP, NOW)).causes
    assert causes[0].segment is not None
    assert causes[0].segment.labels == ("channel=ads",)
    assert causes[1].message is not None


@pytest.mark.parametrize("route", ["/account/export", "/adjoining", "/register-print", "/joinery/x"])
def test_route_that_only_sounds_like_signing_up_is_elsewhere(route: str) -> None:
    errors = Row(count=60, attributes={"route": route}, fails="export bucket missing", first=61, last=74)
    deploy = Row(count=1, attributes={"release": "2.0"}, kind="deploy", first=58, last=58)
    causes = find(compare(events(signups(9, 60, 74, channel="mail"), errors, deploy), DROP, NOW)).causes
    assert causes[0].segment is not None
    assert causes[0].segment.labels == ("channel=ads",)
    assert (causes[1].elsewhere, causes[1].change) == (True, None)


@pytest.mark.parametrize(
    "route", ["/signup", "/v2/register", "/api/sign-up/email", "/accounts", "/new-account"]
)
def test_errors_where_people_sign_up_come_first(route: str) -> None:
    errors = Row(count=60, attributes={"route": route}, fails="captcha refused the key", first=60, last=74)
    causes = find(compare(events(signups(9, 60, 74, channel="mail"), errors), DROP, NOW)).causes
    assert (causes[0].message is not None, causes[0].elsewhere) == (True, False)


@pytest.mark.parametrize(("carried", "is_linked"), [("r2", True), ("r1", False)])
def test_deploy_is_a_change_where_errors_carry_its_release(carried: str, *, is_linked: bool) -> None:
    errors = Row(
        count=60, attributes={"route": "/signup", "release": carried}, fails="no such form", first=60, last=74
    )
    deploy = Row(count=1, attributes={"release": "r2"}, kind="deploy", first=58, last=58)
    rest = (signups(2, 60, 74, channel="mail"), signups(8, 60, 74, channel="ads"))
    cause = find(compare(events(*rest, errors, deploy), DROP, NOW)).causes[0]
    assert (cause.change is not None, cause.coincidence is not None) == (is_linked, not is_linked)


def test_deploy_just_before_is_named() -> None:
    deploy = Row(count=1, attributes={"release": "r2", "message": "live"}, kind="deploy", first=59, last=59)
    rest = (signups(2, 60, 74, channel="mail"), signups(8, 60, 74, channel="ads"))
    change = find(compare(events(*rest, deploy), DROP, NOW)).causes[0].change
    assert change is not None
    assert change.label == "release=r2"
