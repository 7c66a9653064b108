"""The operator's lookup of a scenario's incident works against the real core-api."""

from datetime import UTC, datetime, timedelta

from k8s.operator.scenario.core_api import Question, ask
from tests.support.product import Product
from tests.support.waiting import until
from tests.system.e2e.test_acceptance import WITHIN_S, spike


def test_operator_finds_an_incident_and_its_summary(product: Product) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    incident = spike(product, "SCENARIO")
    url, key = product.environment["CORE_API_URL"], product.environment["READ_API_KEY"]
    question = Question(url=url, key=key, fingerprint="SCENARIO|/e2e|prod", active_since=since)
    # The built-in summary stands until the model has answered.
    found = until(
        lambda: seen if (seen := ask(question)).summary_model == "test-model" else None, within_s=WITHIN_S
    )
    assert found is not None
    assert (found.incident_id, found.summary_model, found.error) == (incident["id"], "test-model", "")
    others = Question(url=url, key=key, fingerprint="NOTHING|/e2e|prod", active_since=since)
    assert ask(others).incident_id is None
    later = Question(
        url=url, key=key, fingerprint=question.fingerprint, active_since=since + timedelta(hours=1)
    )
    assert ask(later).incident_id is None


def test_operator_reports_why_core_api_refused(product: Product) -> None:
    url, since = product.environment["CORE_API_URL"], datetime.now(UTC)
    wrong = product.environment["PROJECT_API_KEY"]
    refused = ask(Question(url=url, key=wrong, fingerprint=None, active_since=since))
    assert refused.error == "core-api refuses the key of expect.readKeyRef: it needs scope read"
    nowhere = ask(Question(url="http://127.0.0.1:1", key=wrong, fingerprint=None, active_since=since))
    assert nowhere.error == "core-api did not answer (ConnectError)"
