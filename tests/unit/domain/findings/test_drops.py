"""Causes of a drop of signups."""

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


def test_missing_channel_stands_before_errors_elsewhere() -> None:
    errors = Row(
        count=40, attributes={"route": "/pay"}, fails="bank provider refused the key", first=68, last=74
    )
    causes = find(compare(events(signups(9, 60, 74, channel="mail"), errors), DROP, NOW)).causes
    assert causes[0].segment is not None
    assert causes[0].segment.labels == ("channel=ads",)
    assert causes[1].message is not None


def test_deploy_just_before_is_named() -> None:
    deploy = Row(count=1, attributes={"release": "r2", "message": "live"}, kind="deploy", first=59, last=59)
    rest = (signups(2, 60, 74, channel="mail"), signups(8, 60, 74, channel="ads"))
    change = find(compare(events(*rest, deploy), DROP, NOW)).causes[0].change
    assert change is not None
    assert change.label == "release=r2"
