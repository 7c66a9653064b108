"""Verdicts on a run and on its incident."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from k8s.operator.scenario.expectations import IncidentLookup, active_since, fingerprint, succeeded, verified
from k8s.operator.scenario.totals import Run, observed
from k8s.operator.scenario_types import SignalsScenarioSpec
from tests.unit.k8s.scenario_specs import LOADGEN, REPLAY

START: Final = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
RUNNING: Final = Run(state="running", started_at=START)
SENT: Final = Run(state="succeeded", started_at=START, finished_at=START, sent=1000, accepted=995, reported=1)
FAILED: Final = Run(state="failed", started_at=START, finished_at=START, sent=1000, accepted=900, reported=1)
SILENT: Final = Run(
    state="failed", started_at=START, finished_at=START, silent=("pod spike-0 ended with exit code 2",)
)
SEEN: Final = IncidentLookup(incident_id="i-1")
SUMMARIZED: Final = IncidentLookup(incident_id="i-1", summary_model="llama")
BOTH: Final = {"incidentWithin": "2m", "summaryWithin": "5m", "readKeyRef": {"name": "keys", "key": "read"}}


def _spec(expect: dict[str, Any] | None) -> SignalsScenarioSpec:
    return SignalsScenarioSpec.model_validate(LOADGEN | ({"expect": expect} if expect is not None else {}))


@pytest.mark.parametrize(
    ("expect", "run", "lookup", "after_s", "status", "reason"),
    [
        (None, Run(), IncidentLookup(), 0, "Unknown", "NotStarted"),
        (None, RUNNING, IncidentLookup(), 9, "Unknown", "Running"),
        (None, SENT, IncidentLookup(), 9, "True", "Sent"),
        (None, FAILED, IncidentLookup(), 9, "False", "NotAllAccepted"),
        ({}, SENT, IncidentLookup(), 9, "True", "AsExpected"),
        ({}, FAILED, IncidentLookup(), 9, "False", "TooFewAccepted"),
        ({"minAcceptedPercent": 90}, FAILED, IncidentLookup(), 9, "True", "AsExpected"),
        ({"minAcceptedPercent": 91}, FAILED, IncidentLookup(), 9, "False", "TooFewAccepted"),
        ({"minAcceptedPercent": 0}, SILENT, IncidentLookup(), 9, "False", "ReportMissing"),
        ({}, Run(state="succeeded", started_at=START), IncidentLookup(), 9, "False", "NothingSent"),
        (BOTH, RUNNING, SUMMARIZED, 60, "Unknown", "Running"),
        (BOTH, RUNNING, IncidentLookup(), 121, "False", "NoIncident"),
        (BOTH, SENT, IncidentLookup(), 120, "Unknown", "LookingForIncident"),
        (BOTH, SENT, IncidentLookup(), 121, "False", "NoIncident"),
        (BOTH, SENT, SEEN, 299, "Unknown", "LookingForSummary"),
        (BOTH, SENT, SEEN, 301, "False", "NoSummary"),
        (BOTH, SENT, SUMMARIZED, 9, "True", "AsExpected"),
        (BOTH, FAILED, SUMMARIZED, 9, "False", "TooFewAccepted"),
    ],
)
def test_expectations_are_judged(
    expect: dict[str, Any] | None, run: Run, lookup: IncidentLookup, after_s: int, status: str, reason: str
) -> None:
    verdict = verified(_spec(expect), run, lookup, START + timedelta(seconds=after_s))
    assert (verdict.status, verdict.reason) == (status, reason)
    assert verdict.message


def test_verdict_names_the_incident_and_why_the_lookup_failed() -> None:
    lookup = IncidentLookup(error="core-api did not answer (ConnectError)")
    verdict = verified(_spec(BOTH), SENT, lookup, START + timedelta(seconds=121))
    assert verdict.message == (
        "no incident (UPSTREAM_TIMEOUT|/checkout|prod) within 2m of the start; "
        "core-api did not answer (ConnectError)"
    )
    assert verified(_spec(BOTH), SENT, SUMMARIZED, START).message == (
        "995 of 1000 events (99.5 %) were accepted; incident i-1 was opened; llama summarized it"
    )


def test_run_reports_its_result() -> None:
    assert succeeded(SENT).message == "1000 events sent, 995 accepted"
    assert succeeded(SILENT).reason == "ReportMissing"
    assert succeeded(Run(state="suspended")).reason == "Suspended"


def test_incident_of_a_recording_may_predate_the_replay() -> None:
    loadgen, replay = _spec(None), SignalsScenarioSpec.model_validate(REPLAY)
    assert (fingerprint(loadgen), fingerprint(replay)) == ("UPSTREAM_TIMEOUT|/checkout|prod", None)
    assert active_since(replay, START) < active_since(loadgen, START) < START
    fixture = REPLAY | {"replay": {"fixture": "drop_signups.ndjson"}}
    assert fingerprint(SignalsScenarioSpec.model_validate(fixture)) == "signup|prod"


def _pod(name: str, state: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "status": {"containerStatuses": [{"name": "scenario", "state": state}]},
    }


def _ended(name: str, code: int, message: str) -> dict[str, Any]:
    return _pod(name, {"terminated": {"exitCode": code, "message": message, "reason": "Error"}})


def test_totals_are_summed_over_all_pods_retried_ones_too() -> None:
    report = json.dumps({"mode": "spike_errors", "sent": 10, "accepted": 9, "trouble": None})
    job = {"spec": {}, "status": {"startTime": "2026-11-24T12:00:00Z"}}
    running = _pod("d", {"running": {}})
    run = observed(job, [_ended("a", 1, report), _ended("b", 0, report), running])
    assert (run.state, run.sent, run.accepted, run.reported) == ("running", 20, 18, 2)
    assert (run.started_at, run.silent) == (START, ())


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (
            {"terminated": {"exitCode": 2, "message": "ingest-api refused\nthe key"}},
            "pod a ended with exit code 2 and without a report: ingest-api refused the key",
        ),
        (
            {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            "pod a ended with exit code 137 and without a report: OOMKilled",
        ),
        (
            {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "keys" not found'}},
            'pod a does not start: CreateContainerConfigError: secret "keys" not found',
        ),
    ],
)
def test_pod_without_a_report_is_reported_with_its_last_words(state: dict[str, Any], said: str) -> None:
    assert observed({"spec": {}}, [_pod("a", state)]).silent == (said,)


def test_starting_pod_is_not_reported() -> None:
    pods = [
        _pod("a", {"waiting": {"reason": "ContainerCreating"}}),
        {"metadata": {"name": "b"}, "status": {}},
    ]
    assert observed({"spec": {}}, pods) == Run(state="running")


def test_removed_pod_counts_as_unreported() -> None:
    ended = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-11-24T12:01:00Z"}
    status = {"startTime": "2026-11-24T12:00:00Z", "conditions": [ended]}
    job = {"spec": {"completions": 2}, "status": status}
    run = observed(job, [_ended("a", 0, json.dumps({"sent": 10, "accepted": 10}))])
    assert run.silent == ("only 1 of 2 reports were read: the other pods are gone",)
    assert verified(_spec({}), run, IncidentLookup(), START).reason == "ReportMissing"
