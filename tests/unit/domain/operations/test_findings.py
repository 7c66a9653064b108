"""Blocking findings, and a report that fits into a pod's termination message."""

import json

import pytest

from signals.domain.operations.findings import (
    MAX_REPORT_BYTES,
    REQUIRED,
    PreflightFinding,
    bad,
    failed,
    good,
    report,
)

FINDINGS = [
    good("postgres", "Reachable", "PostgreSQL 18.4 lets us in"),
    bad("kafka", "LoginRefused", "it refuses user and password", "KAFKA_SASL_PASSWORD"),
    bad("topics", "NotChecked", "not checked"),
]


def test_only_required_checks_block() -> None:
    assert failed(FINDINGS, REQUIRED) == [FINDINGS[1]]
    assert failed(FINDINGS, REQUIRED | {"topics"}) == FINDINGS[1:]
    assert failed(FINDINGS[:1], REQUIRED) == []


def test_the_report_is_the_contract_with_the_operator() -> None:
    assert json.loads(report(FINDINGS))[1] == {
        "check": "kafka",
        "ok": False,
        "reason": "LoginRefused",
        "message": "it refuses user and password",
        "variable": "KAFKA_SASL_PASSWORD",
    }


@pytest.mark.parametrize("letter", ["x", "\u20ac", '"', "\x01"])
def test_the_longest_report_fits_a_termination_message(letter: str) -> None:
    checks: list[PreflightFinding] = [
        bad("index", "Foreign", letter * 10_000, "SIGNALS_REPLICATION_FACTOR")
    ] * 7
    text = report(checks)
    assert len(text) <= MAX_REPORT_BYTES
    assert [row["message"][:49] for row in json.loads(text)] == [letter * 49] * 7
