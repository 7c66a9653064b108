"""Causes found in small worlds whose numbers can be followed by hand."""

import pytest

from signals.domain.findings.causes import Findings
from signals.domain.findings.verdict import find
from tests.unit.domain.findings.comparisons import ONSET_MINUTE, Row, comparison_of, hour

TEXT = "something went wrong"


def first_labels(findings: Findings) -> tuple[str, ...]:
    segment = findings.causes[0].segment
    return segment.labels if segment else ()


def test_value_that_fails_is_named_with_both_rates() -> None:
    findings = find(
        comparison_of(
            hour(region="a"), hour(region="b"),
            Row(count=38, attributes={"region": "a"}, fails=TEXT), Row(count=2, attributes={"region": "a"}),
            Row(count=1, attributes={"region": "b"}, fails=TEXT), Row(count=90, attributes={"region": "b"}),
        )
    )  # fmt: skip
    segment = findings.causes[0].segment
    assert segment is not None
    assert segment.labels == ("region=a",)
    assert segment.cells.rate_in == pytest.approx(38 / 40)
    assert segment.cells.rate_out == pytest.approx(1 / 91)
    assert segment.explained.low < segment.explained.value < segment.explained.high


def test_failures_spread_evenly_name_no_cause() -> None:
    rows = [
        row
        for region in "abc"
        for row in (hour(region=region), Row(count=20, attributes={"region": region}, fails=TEXT),
                    Row(count=20, attributes={"region": region}))
    ]  # fmt: skip
    findings = find(comparison_of(*rows))
    assert findings.causes == ()
    assert "region" in findings.compared
    assert findings.confidence <= 0.1


def test_combination_of_two_values_is_named() -> None:
    rows = [
        row
        for region in "ab"
        for payer in ("card", "bank")
        for row in (
            hour(region=region, payer=payer),
            Row(count=40, attributes={"region": region, "payer": payer},
                fails=TEXT if (region, payer) == ("a", "bank") else None),
        )
    ]  # fmt: skip
    assert set(first_labels(find(comparison_of(*rows)))) == {"region=a", "payer=bank"}


def test_several_values_of_one_name_are_named_as_a_set() -> None:
    rows = [
        row
        for host in "abcdef"
        for row in (
            hour(host=host),
            Row(count=20, attributes={"host": host}, fails=TEXT if host in "cd" else None),
        )
    ]
    assert set(first_labels(find(comparison_of(*rows)))) == {"host=c", "host=d"}


def test_values_below_a_limit_are_named_as_a_range() -> None:
    rows = [
        row
        for items in range(1, 13)
        for row in (
            hour(items=items),
            Row(count=9, attributes={"items": items}, fails=TEXT if items >= 7 else None),
        )
    ]
    segment = find(comparison_of(*rows)).causes[0].segment
    assert segment is not None
    assert segment.form == "range"
    assert set(segment.labels) == {f"items={items}" for items in range(7, 13)}


def test_two_causes_at_once_are_both_named() -> None:
    rows = [
        row
        for region in "abc"
        for device in ("x", "y", "z")
        for row in (
            hour(region=region, device=device),
            Row(count=15, attributes={"region": region, "device": device},
                fails=TEXT if region == "a" or device == "x" else None),
        )
    ]  # fmt: skip
    named = {cause.segment.labels for cause in find(comparison_of(*rows)).causes if cause.segment}
    assert {("region=a",), ("device=x",)} <= named


def test_absent_attribute_is_named() -> None:
    findings = find(
        comparison_of(
            hour(coupon="none"), hour(),
            Row(count=40, fails=TEXT), Row(count=40, attributes={"coupon": "none"}),
        )
    )  # fmt: skip
    segment = findings.causes[0].segment
    assert segment is not None
    assert (segment.form, segment.labels) == ("absence", ("coupon=",))


def test_new_customer_is_named_before_its_region() -> None:
    findings = find(
        comparison_of(
            hour(region="a", customer_id="c1"), hour(region="b", customer_id="c2"),
            Row(count=40, attributes={"region": "a", "customer_id": "c9"}, fails=TEXT),
            Row(count=1, attributes={"region": "b", "customer_id": "c2"}),
        )
    )  # fmt: skip
    assert first_labels(findings) == ("customer_id=c9",)


def deploy(release: str, minute: int) -> Row:
    return Row(
        count=1,
        attributes={"release": release, "message": f"{release} is live"},
        kind="deploy",
        first=minute,
        last=minute,
    )


def test_full_release_is_found_by_the_hour_before() -> None:
    findings = find(
        comparison_of(
            hour(release="r1"), deploy("r2", ONSET_MINUTE),
            Row(count=60, attributes={"release": "r2"}, fails=TEXT),
            Row(count=20, attributes={"release": "r2"}),
        )
    )  # fmt: skip
    assert first_labels(findings) == ("release=r2",)
    assert findings.causes[0].change is not None


def test_release_that_served_well_is_cleared() -> None:
    findings = find(
        comparison_of(
            hour(release="r1"), deploy("r2", 60),
            Row(count=80, attributes={"release": "r2"}, first=60, last=ONSET_MINUTE - 1),
            Row(count=60, attributes={"release": "r2"}, fails=TEXT),
            Row(count=20, attributes={"release": "r2"}),
        )
    )  # fmt: skip
    assert findings.causes == ()
    assert [item.why for item in findings.cleared] == ["served"]


def test_canary_that_fails_like_the_old_release_is_cleared() -> None:
    rows = [
        row
        for release in ("r1", "r2")
        for region in "ab"
        for row in (
            Row(
                count=25,
                attributes={"release": release, "region": region},
                fails=TEXT if region == "a" else None,
            ),
        )
    ]
    findings = find(
        comparison_of(hour(release="r1", region="a"), hour(release="r1", region="b"), deploy("r2", 69), *rows)
    )
    assert first_labels(findings) == ("region=a",)
    assert [item.why for item in findings.cleared] == ["alike"]


def test_rare_change_just_before_is_named_when_nothing_else_is() -> None:
    change = Row(
        count=1, attributes={"flag": "tax", "message": "tax is on"}, kind="custom", first=69, last=69
    )
    findings = find(comparison_of(hour(), change, Row(count=40, fails=TEXT), Row(count=40)))
    assert findings.causes[0].change is not None
    assert findings.causes[0].confidence <= 0.6


def test_routine_event_just_before_is_no_cause() -> None:
    routine = [
        Row(count=1, attributes={"job": "warm", "message": "cache warmed"}, kind="custom", first=m, last=m)
        for m in (9, 39, 69)
    ]
    assert find(comparison_of(hour(), *routine, Row(count=40, fails=TEXT), Row(count=40))).causes == ()


def test_label_of_failures_alone_needs_the_name_of_a_mechanism() -> None:
    def first(**extra: object) -> Findings:
        return find(comparison_of(hour(), Row(count=40, attributes=extra, fails=TEXT), Row(count=40)))

    mechanism = first(upstream="bank-api").causes[0].mechanism
    assert mechanism is not None
    assert mechanism.label == "upstream=bank-api"
    assert first(root_cause="zq1", reason="zq2", verdict="zq3", foo="zq4").causes == ()


def test_project_without_working_requests_is_compared_with_its_errors() -> None:
    before = [
        Row(
            count=20,
            attributes={"region": region, "error_code": "OTHER"},
            kind="error",
            first=5,
            last=ONSET_MINUTE - 1,
        )
        for region in "abc"
    ]
    findings = find(comparison_of(*before, Row(count=60, attributes={"region": "a"}, fails=TEXT)))
    assert findings.reference == "errors"
    assert first_labels(findings) == ("region=a",)
    assert findings.confidence <= 0.5


def test_errors_of_other_routes_are_no_comparison() -> None:
    elsewhere: dict[str, object] = {"route": "/ship", "region": "a", "error_code": "OTHER"}
    before = Row(count=60, attributes=elsewhere, kind="error", first=5, last=ONSET_MINUTE - 1)
    findings = find(comparison_of(before, Row(count=60, attributes={"host": "x"}, fails=TEXT)))
    assert (findings.causes, findings.reference) == ((), "nothing")


def test_message_without_working_requests_is_no_surer_than_half() -> None:
    findings = find(comparison_of(Row(count=60, fails="price 17 is null")))
    assert findings.causes[0].message is not None
    assert findings.confidence <= 0.5


def test_message_is_as_new_in_a_noisy_project() -> None:
    noise = Row(
        count=5000, attributes={"route": "/ship"}, fails="late", first=5, last=ONSET_MINUTE - 1, kind="error"
    )
    before = Row(count=300, fails="price 17 is null", first=10, last=ONSET_MINUTE - 1)
    findings = find(
        comparison_of(hour(), noise, before, Row(count=60, fails="price 17 is null"), Row(count=60))
    )
    message = findings.causes[0].message
    assert message is not None
    assert (message.is_new, message.before) == (False, 300)


def test_group_that_always_failed_so_is_told_by_its_growth() -> None:
    bots: dict[str, object] = {"client": "bot"}
    people: dict[str, object] = {"client": "web"}
    past = [
        Row(count=20, attributes=bots, fails=TEXT, first=5, last=ONSET_MINUTE - 1),
        Row(count=30, attributes=bots, first=5, last=ONSET_MINUTE - 1),
        hour(client="web"),
    ]
    grown = [Row(count=60, attributes=bots, fails=TEXT), Row(count=90, attributes=bots)]
    [cause] = find(comparison_of(*past, *grown, Row(count=90, attributes=people))).causes[:1]
    assert cause.surge is not None
    assert (cause.surge.label, cause.surge.rate) == ("client=bot", 30.0)
    [worse] = find(comparison_of(*past[1:], *grown, Row(count=90, attributes=people))).causes[:1]
    assert (worse.surge, worse.segment is not None) == (None, True)


def test_surge_of_requests_is_named() -> None:
    findings = find(comparison_of(hour(), Row(count=60, fails=TEXT), Row(count=120)))
    assert findings.causes[0].surge is not None


def test_incident_without_any_counterpart_says_so() -> None:
    findings = find(comparison_of(Row(count=60, fails=TEXT)))
    assert findings.causes == ()
    assert findings.reference == "nothing"
