"""The operator reads the reports of `signals preflight`."""

from datetime import UTC, datetime

from k8s.operator.observed import JobState, RayState
from k8s.operator.plan import Plan
from k8s.operator.secrets import SecretsView
from k8s.operator.verdicts import StackFacts, judge
from signals.domain.operations.findings import PreflightFinding, bad, good, report
from tests.unit.k8s.specs import DOKS, parsed

FINDINGS = [
    bad("postgres", "LoginRefused", "it refuses user and password: check DATABASE_URL", "DATABASE_URL"),
    bad("schema", "NotChecked", "not checked: postgres could not be asked"),
    good("kafka", "Reachable", "3 Kafka brokers let us in"),
    bad("topics", "Missing", "there is no topic signals.raw.v1: run `signals prepare`"),
    good("opensearch", "Reachable", "OpenSearch 3.9 lets us in"),
    bad("index", "Missing", "there is no index signals-events-v1: run `signals prepare`"),
    good("model", "Served", "llama3.3-70b-instruct can be asked"),
]


def facts(findings: list[PreflightFinding], state: str) -> StackFacts:
    ended = {"message": report(findings).decode(), "finished_at": datetime(2026, 11, 24, tzinfo=UTC)}
    return StackFacts(
        spec=parsed(DOKS),
        now=datetime(2026, 11, 24, tzinfo=UTC),
        secrets=SecretsView(digest="x"),
        preflight=JobState(state="failed" if state == "failed" else "succeeded", **ended),  # type: ignore[arg-type]  # mixed
        prepare=JobState(state="absent"),
        ray=RayState(),
        plan=Plan(wanted="a", applied=None, pending=False),
    )


def test_failed_server_is_reported_with_the_secret_key_to_correct() -> None:
    [verdict] = [v for v in judge(facts(FINDINGS, "failed"), []) if v.type == "DependenciesReachable"]
    assert (verdict.status, verdict.reason) == ("False", "LoginRefused")
    assert verdict.message == (
        "it refuses user and password: check DATABASE_URL "
        "(correct key DATABASE_URL of Secret signals-postgres)"
    )


def test_objects_that_prepare_creates_do_not_fail_preflight() -> None:
    findings = [good("postgres", "Reachable", "in"), *FINDINGS[1:]]
    [verdict] = [v for v in judge(facts(findings, "succeeded"), []) if v.type == "DependenciesReachable"]
    assert verdict.status == "True"
