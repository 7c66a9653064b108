"""Conditions: always present, with a remedy, and held while a check runs again."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from k8s.operator.conditions import ALWAYS, WHEN_TRUE, merged, no, timestamp, unknown, yes
from k8s.operator.observed import ABSENT, JobState, RayState
from k8s.operator.plan import Plan
from k8s.operator.readiness import ConsumersReadiness
from k8s.operator.secrets import Certificate, SecretsView
from k8s.operator.verdicts import StackFacts, judge
from tests.unit.k8s.facts import NOW, SERVING, SUCCEEDED, WELL, judged, well
from tests.unit.k8s.specs import DOKS, parsed

REPORT = [
    {"check": "postgres", "ok": True, "reason": "Ok", "message": "fine", "variable": None},
    {
        "check": "kafka",
        "ok": False,
        "reason": "CertificateUntrusted",
        "message": "The broker's certificate is signed by another CA.",
        "variable": "KAFKA_CA_CERT",
    },
    {
        "check": "model",
        "ok": False,
        "reason": "ModelNotServed",
        "message": "The server does not serve llama3.3-70b-instruct.",
        "variable": "GRADIENT_API_KEY",
    },
]
FAILED = JobState(state="failed", message=json.dumps(REPORT), finished_at=NOW)
STARTING = RayState(exists=True, reason="Initializing", message="core is DEPLOYING", plan="p")
BROKEN_SECRETS = SecretsView(digest="", reason="SecretMissing", problems=("Secret a is missing",))


def test_healthy_stack_has_only_the_permanent_conditions() -> None:
    verdicts = judge(WELL, [])
    assert tuple(verdict.type for verdict in verdicts) == ALWAYS
    assert {verdict.status for verdict in verdicts} == {"True"}


STATES: list[tuple[str, StackFacts]] = [
    ("nothing yet", well(preflight=ABSENT, prepare=ABSENT, ray=RayState(), readiness=None, applied_at=None)),
    ("broken secrets", well(secrets=BROKEN_SECRETS, preflight=ABSENT, prepare=ABSENT)),
    ("preflight failed", well(preflight=FAILED)),
    ("starting", well(ray=STARTING, readiness=None)),
    ("no KubeRay", well(ray=RayState(known_kind=False), readiness=None)),
    ("core-api silent", well(readiness=ConsumersReadiness(error="it did not answer"))),
]


@pytest.mark.parametrize(("_", "facts"), STATES)
def test_every_state_has_all_conditions_with_reason_and_message(_: str, facts: StackFacts) -> None:
    verdicts = judge(facts, [])
    types = [verdict.type for verdict in verdicts]
    assert tuple(types[: len(ALWAYS)]) == ALWAYS
    assert set(types[len(ALWAYS) :]) <= set(WHEN_TRUE)
    assert all(verdict.reason.isalnum() and verdict.message for verdict in verdicts)
    assert all(verdict.status == "True" for verdict in verdicts if verdict.type in WHEN_TRUE)


def test_failed_preflight_names_the_secret_and_key_to_correct() -> None:
    status, reason, message = judged(well(preflight=FAILED))["DependenciesReachable"]
    assert (status, reason) == ("False", "CertificateUntrusted")
    assert message.endswith("signed by another CA (correct key kafka.pem of Secret signals-kafka-ca)")
    assert "llama" not in message


def test_unserved_model_does_not_block_readiness() -> None:
    report = [REPORT[0], REPORT[2]]
    conditions = judged(well(preflight=JobState(state="succeeded", message=json.dumps(report))))
    assert conditions["Ready"][0] == "True"
    status, reason, message = conditions["ModelUnavailable"]
    assert (status, reason) == ("True", "ModelNotServed")
    assert "key token of Secret signals-model" in message


def test_malformed_report_is_shown_verbatim() -> None:
    traceback = JobState(state="failed", message="SettingsError: KAFKA_BROKERS: missing", finished_at=NOW)
    assert judged(well(preflight=traceback))["DependenciesReachable"] == (
        "False",
        "PreflightFailed",
        "SettingsError: KAFKA_BROKERS: missing",
    )


def _written(type_: str, status: str, reason: str = "Before") -> dict[str, Any]:
    at = timestamp(NOW - timedelta(days=1))
    return {"type": type_, "status": status, "reason": reason, "message": "m", "lastTransitionTime": at}


@pytest.mark.parametrize("status", ["True", "False"])
def test_last_result_holds_while_preflight_runs_again(status: str) -> None:
    before = [_written("DependenciesReachable", status)]
    again = well(preflight=JobState(state="running"))
    assert judged(again, before)["DependenciesReachable"] == (status, "Before", "m")
    assert judged(again)["DependenciesReachable"][:2] == ("Unknown", "PreflightRunning")


def test_ready_describes_the_serving_version() -> None:
    failing = well(preflight=FAILED, prepare=ABSENT)
    conditions = judged(failing)
    assert conditions["Ready"][0] == "True"
    assert conditions["Degraded"][:2] == ("True", "CertificateUntrusted")


def test_one_missing_consumer_degrades_and_a_missing_kind_unreadies() -> None:
    some = ConsumersReadiness(expected=7, engines=2, not_running=("incident-engine-2 is missing",))
    conditions = judged(well(readiness=some))
    assert conditions["ConsumersReady"][0] == "False"
    assert "incident-engine-2 is missing" in conditions["ConsumersReady"][2]
    assert conditions["Ready"][0] == "True"
    assert conditions["Degraded"][1] == "ConsumersNotRunning"
    none = replace(some, engines=0, idle_kinds=("incident-engine",))
    assert judged(well(readiness=none))["Ready"][:2] == ("False", "ConsumersNotRunning")


def test_reading_that_stands_still_degrades() -> None:
    standing = ("indexer in partitions 3, 4 with 152445 records waiting",)
    conditions = judged(well(readiness=ConsumersReadiness(expected=7, engines=3, standing=standing)))
    assert conditions["ConsumersReady"][:2] == ("False", "ReadingStandsStill")
    assert standing[0] in conditions["Degraded"][2]
    assert conditions["Ready"][0] == "True"


def test_core_api_reports_a_dependency_that_fails_later() -> None:
    conditions = judged(
        well(readiness=ConsumersReadiness(unavailable=("kafka is timeout",), expected=7, engines=3))
    )
    assert conditions["DependenciesReachable"][:2] == ("False", "DependencyUnavailable")
    assert conditions["Ready"][:2] == ("False", "DependencyUnavailable")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"secrets": BROKEN_SECRETS, "preflight": ABSENT, "prepare": ABSENT}, "SecretMissing"),
        ({"preflight": FAILED, "prepare": ABSENT}, "CertificateUntrusted"),
        ({"prepare": JobState(state="failed", message="relation exists", finished_at=NOW)}, "PrepareFailed"),
        ({}, "NotCreated"),
    ],
)
def test_ready_names_the_first_obstacle_of_a_start(change: dict[str, Any], reason: str) -> None:
    facts = well(ray=RayState(), readiness=None, applied_at=None, **change)
    assert judged(facts)["Ready"][:2] == ("False", reason)


def test_missing_kuberay_is_one_sentence() -> None:
    conditions = judged(well(ray=RayState(known_kind=False), readiness=None))
    assert conditions["ServeReady"][1] == conditions["Ready"][1] == "KubeRayMissing"
    assert "install the KubeRay operator" in conditions["Ready"][2]


LATE = NOW + timedelta(minutes=21)


def test_start_and_upgrade_stall_after_their_deadline_and_not_before() -> None:
    assert "Stalled" not in judged(well(ray=STARTING, readiness=None, now=NOW + timedelta(minutes=19)))
    status, reason, message = judged(well(ray=STARTING, readiness=None, now=LATE))["Stalled"]
    assert (status, reason) == ("True", "StartTimedOut")
    assert "core is DEPLOYING" in message
    upgrading = replace(SERVING, upgrading=True)
    assert judged(well(ray=upgrading, now=LATE))["Stalled"][1] == "UpgradeTimedOut"


def test_outage_long_after_a_start_has_its_own_deadline() -> None:
    out = replace(STARTING, flipped_at=LATE - timedelta(minutes=1))
    assert "Stalled" not in judged(well(ray=out, readiness=None, now=LATE))


def test_settled_ray_is_never_stalled() -> None:
    assert "Stalled" not in judged(well(now=LATE))


def test_refusal_of_the_api_server_stalls_with_its_message() -> None:
    assert judged(well(refused="RayService is invalid: …"))["Stalled"] == (
        "True",
        "ApplyRefused",
        "RayService is invalid: …",
    )


def test_pending_plan_names_the_hash_to_approve() -> None:
    plan = Plan(wanted="abc", applied="p", pending=True)
    sentence = judged(well(plan=plan, prepare=ABSENT))["PlanPending"][2]
    assert sentence.endswith("spec.upgrade.approvedPlan: abc")
    off = well(plan=plan, prepare=ABSENT, spec=parsed(DOKS | {"upgrade": {"strategy": "None"}}))
    assert judged(off)["PlanPending"][1] == "UpgradesOff"


@pytest.mark.parametrize(("days", "reason"), [(-1, "Expired"), (29, "ExpiresSoon"), (31, None)])
def test_certificate_is_reported_a_month_before_expiry(days: int, reason: str | None) -> None:
    certificate = Certificate(place="key ca.crt of Secret pg", ends_at=NOW + timedelta(days=days))
    conditions = judged(well(secrets=SecretsView(digest="", certificates=(certificate,))))
    assert conditions.get("CertificateExpiring", (None, None))[1] == reason
    if reason:
        assert "key ca.crt of Secret pg" in conditions["CertificateExpiring"][2]


def test_paused_and_suspended_stacks_have_their_conditions() -> None:
    assert judged(well(spec=parsed(DOKS | {"paused": True})))["Paused"][0] == "True"
    suspended = well(spec=parsed(DOKS | {"suspend": True}), ray=RayState(), readiness=None)
    assert judged(suspended)["Ready"][:2] == ("False", "Suspended")
    assert judged(suspended)["Suspended"][0] == "True"


def test_running_job_reports_why_its_pod_does_not_start() -> None:
    waiting = JobState(state="running", message="ImagePullBackOff: no such image")
    facts = well(preflight=SUCCEEDED, prepare=waiting, ray=RayState(), readiness=None)
    assert judged(facts)["Migrated"] == ("False", "PodFailing", "ImagePullBackOff: no such image")


def test_transition_time_moves_only_with_the_status() -> None:
    before = [_written("A", "True"), _written("B", "True"), _written("C", "Unknown")]
    after = merged(
        before, [yes("A", "New", "n"), no("B", "New", "n"), unknown("C", "r", "m")], generation=2, now=NOW
    )
    moved = [condition["lastTransitionTime"] == timestamp(NOW) for condition in after]
    assert moved == [False, True, False]
    assert [condition["observedGeneration"] for condition in after] == [2, 2, 2]


def test_transient_condition_disappears_when_false() -> None:
    before = [_written("Stalled", "True")]
    assert [c["type"] for c in merged(before, judge(WELL, before), generation=1, now=NOW)] == list(ALWAYS)
