"""The reason why a Job's pod does not run is reported, outlasts the Job's deadline and stalls the stack."""

from datetime import timedelta
from typing import Any

from k8s.operator import status
from k8s.operator.cluster import Manifest
from k8s.operator.jobs import superseded
from k8s.operator.observed import ABSENT, JobState, RayState, job_state
from k8s.operator.plan import Plan
from tests.unit.k8s.facts import NOW, SERVING, judged, well
from tests.unit.k8s.specs import STACK

ENDED = "2026-01-01T12:00:00Z"
DEADLINE = "Job was active longer than specified deadline"
FIRST = Plan(wanted="p", applied=None, pending=False)


def _job(*conditions: Manifest) -> Manifest:
    return {"metadata": {"name": "demo-preflight-1", "uid": "u"}, "status": {"conditions": list(conditions)}}


def _event(message: str, at: str, uid: str = "u", reason: str = "FailedCreate") -> Manifest:
    return {"reason": reason, "message": message, "lastTimestamp": at, "involvedObject": {"uid": uid}}


def _overrun() -> Manifest:
    condition = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": DEADLINE}
    return _job(condition | {"lastTransitionTime": ENDED})


def test_unscheduled_pod_reports_the_message_of_the_scheduler() -> None:
    scheduled = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes: 2 Insufficient cpu."}
    pod = {"metadata": {"creationTimestamp": ENDED}, "status": {"conditions": [scheduled]}}
    assert job_state(_job(), [pod]).message == "no node takes the pod: 0/2 nodes: 2 Insufficient cpu."


def test_job_without_a_pod_reports_why_creation_failed() -> None:
    events = [
        _event(
            'Error creating: pods "demo-preflight-1-aaaaa" is forbidden: no account', "2026-01-01T11:00:00Z"
        ),
        _event('Error creating: pods "demo-preflight-1-bbbbb" is forbidden: quota q', "2026-01-01T11:01:00Z"),
        _event("an earlier Job of this name", "2026-01-01T11:02:00Z", uid="other"),
        _event("Created pod", "2026-01-01T11:03:00Z", reason="SuccessfulCreate"),
    ]
    wanted = 'no pod could be made: Error creating: pods "demo-preflight-1" is forbidden: quota q'
    assert job_state(_job(), [], events).message == wanted
    ended = job_state(_overrun(), [], events)
    assert (ended.state, ended.message, ended.overdue) == ("failed", wanted, True)


def _before(reason: str) -> list[dict[str, Any]]:
    written = {"type": "DependenciesReachable", "status": "False", "reason": reason, "message": "no node"}
    return [written | {"lastTransitionTime": ENDED}]


def test_message_about_a_pod_outlasts_the_deadline_of_its_job() -> None:
    facts = well(preflight=job_state(_overrun(), []), prepare=ABSENT)
    assert judged(facts, _before("PodFailing"))["DependenciesReachable"] == ("False", "PodFailing", "no node")
    other = judged(facts, _before("PasswordRefused"))["DependenciesReachable"]
    assert other == ("False", "PreflightFailed", DEADLINE)


def test_unapplied_first_start_stalls_with_the_cause() -> None:
    waiting = JobState(state="running", message="no node takes the pod: 2 Insufficient cpu")
    start = well(
        preflight=waiting, prepare=ABSENT, ray=RayState(), plan=FIRST, readiness=None, applied_at=None
    )
    assert "Stalled" not in judged(start)
    late = well(
        preflight=waiting,
        prepare=ABSENT,
        ray=RayState(),
        plan=FIRST,
        readiness=None,
        applied_at=None,
        waiting_since=NOW - timedelta(minutes=21),
    )
    state, reason, message = judged(late)["Stalled"]
    assert (state, reason) == ("True", "PreparationTimedOut")
    assert message.startswith("plan p waits for DependenciesReachable: no node takes the pod")


def test_reverted_upgrade_names_the_step_it_waits_for() -> None:
    facts = well(
        preflight=JobState(state="running", message="no pod could be made: quota q"),
        prepare=ABSENT,
        ray=RayState(exists=True, ready=True, upgrading=True, plan="broken"),
        plan=Plan(wanted="p", applied="broken", pending=False),
        applied_at=NOW - timedelta(minutes=30),
        waiting_since=NOW,
    )
    _, reason, message = judged(facts)["Stalled"]
    assert reason == "UpgradeTimedOut"
    assert "Going on: plan p waits for DependenciesReachable: no pod could be made: quota q." in message
    assert "revert it" not in message


def test_waiting_begins_once_for_each_plan() -> None:
    since = NOW - timedelta(minutes=5)
    facts = well(waiting_since=since, ray=SERVING, plan=Plan(wanted="q", applied="p", pending=False))
    written = status.composed(STACK, facts, [], {}, 1)
    assert status.waiting_since(written, "q", NOW) == since
    assert status.waiting_since(written, "r", NOW) == NOW
    assert "waiting" not in status.composed(STACK, well(), [], written, 1)


def _ended(name: str, type_: str | None) -> Manifest:
    job = _job(*([{"type": type_, "status": "True", "lastTransitionTime": ENDED}] if type_ else []))
    return job | {"metadata": {"name": name, "uid": name}}


def test_jobs_that_succeeded_stay_until_another_plan_serves() -> None:
    found = [
        _ended("wanted", "Complete"),
        _ended("good", "Complete"),
        _ended("bad", "Failed"),
        _ended("on", None),
    ]
    assert superseded(found, "wanted", settled=False) == ["bad"]
    assert superseded(found, "wanted", settled=True) == ["good", "bad"]
