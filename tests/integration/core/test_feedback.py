"""Feedback on summaries over HTTP: one answer a person and version, listed, and summed up as precision."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.postgres import Connection
from signals.store.summary import ai_outputs
from tests.integration.core.conftest import Keys, OpenIncident, OpenOutage

CONTENT = {
    "confidence": 0.8,
    "likely_causes": ["Requests with region=fra1 fail."],
    "findings": {"causes": [{"group": {"labels": ["region=fra1"]}}]},
}
STATE = """
INSERT INTO pipeline.incident_states (incident_id, kind, grouping, rule, rule_version)
VALUES (%s, 'change', 1, 'error-spike', 1)
"""


@pytest.fixture
def summarized(pool: ConnectionPool[Connection], open_incident: OpenIncident) -> UUID:
    """An incident with two versions of its summary: the built-in one, then one of a model."""
    incident_id = open_incident()
    versions: list[tuple[str, dict[str, Any]]] = [
        ("builtin", CONTENT),
        ("a-model", CONTENT | {"run": {"prompt": "2"}}),
    ]
    for model, content in versions:
        with pool.connection() as connection:  # each at an instant of its own
            ai_outputs.insert(
                connection, output_id=uuid4(), incident_id=incident_id, model=model, content=content
            )
    with pool.connection() as connection:
        connection.execute(STATE, [incident_id])
    return incident_id


def give(client: TestClient, incident_id: UUID, **said: object) -> Any:
    """Send one answer."""
    return client.post(f"/v1/incidents/{incident_id}/feedback", json=said)


def test_answer_is_stored_for_the_newest_version_with_what_it_was(
    reader: TestClient, summarized: UUID
) -> None:
    answer = give(reader, summarized, useful=False, cause="the pool\nwas small", facts=["pool-7"])
    assert answer.status_code == 200, answer.text
    [row] = answer.json()
    assert (row["version"], row["useful"], row["cause"], row["facts"]) == (
        2,
        False,
        "the pool was small",
        ["pool-7"],
    )
    assert (row["model"], row["prompt"], row["rule"]) == ("a-model", "2", "error-spike")
    assert (row["first_cause"], row["labels"]) == ("Requests with region=fra1 fail.", ["region=fra1"])
    assert row["actor"].startswith("key:")
    assert reader.get("/v1/feedback").json() == [row]
    assert reader.get(f"/v1/incidents/{summarized}/feedback").json() == [row]


def test_further_answer_of_one_key_replaces_the_former(reader: TestClient, summarized: UUID) -> None:
    give(reader, summarized, useful=False, version=1)
    assert len(give(reader, summarized, useful=True, version=1).json()) == 1
    [row] = reader.get("/v1/feedback").json()
    assert (row["version"], row["useful"]) == (1, True)


def test_timeline_names_who_answered(reader: TestClient, summarized: UUID) -> None:
    give(reader, summarized, useful=True)
    newest = reader.get(f"/v1/incidents/{summarized}/timeline").json()[-1]
    assert (newest["kind"], newest["detail"]) == ("feedback", {"useful": True, "version": 2})
    assert newest["actor"].startswith("key:")


def test_feedback_plans_no_notice(
    reader: TestClient, summarized: UUID, pool: ConnectionPool[Connection]
) -> None:
    give(reader, summarized, useful=True)
    with pool.connection() as connection:
        [planned] = connection.execute(
            "SELECT planned_at IS NOT NULL FROM pipeline.incident_changes WHERE kind = 'feedback'"
        ).fetchone() or [None]
    assert planned is True


def test_precision_is_counted_by_rule_and_prompt(
    reader: TestClient, summarized: UUID, anonymous: TestClient, keys: Keys
) -> None:
    give(reader, summarized, useful=True, version=1)
    give(reader, summarized, useful=False, version=2)
    anonymous.headers["Authorization"] = f"Bearer {keys.admin}"
    give(anonymous, summarized, useful=True, version=2)
    found = {row["prompt"]: row for row in reader.get("/v1/feedback/precision").json()}
    assert (found["2"]["rule"], found["2"]["answers"], found["2"]["useful"]) == ("error-spike", 2, 1)
    assert found["2"]["precision"]["value"] == 0.5
    assert found["2"]["precision"]["low"] < 0.1
    assert (found[None]["model"], found[None]["precision"]["value"]) == ("builtin", 1)


def test_missing_version_and_summary_are_refused(
    reader: TestClient, summarized: UUID, open_incident: OpenIncident
) -> None:
    bare = open_incident(fingerprint="E|/other|prod")
    for incident_id, version in ((summarized, 3), (bare, None)):
        answer = give(reader, incident_id, useful=True, version=version)
        assert (answer.status_code, answer.json()["code"]) == (409, "no_such_version")


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({}, "useful"),
        ({"useful": "yes"}, "useful"),
        ({"useful": True, "mood": 1}, "mood"),
        ({"useful": True, "facts": ["x"]}, "facts.0"),
        ({"useful": True, "cause": "\x00 "}, "cause"),
        ({"useful": True, "cause": "x" * 501}, "cause"),
        ({"useful": True, "version": 0}, "version"),
    ],
)
def test_odd_answer_is_refused_by_field(
    reader: TestClient, summarized: UUID, said: dict[str, object], field: str
) -> None:
    answer = give(reader, summarized, **said)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_other_tenant_neither_reads_nor_answers(anonymous: TestClient, keys: Keys, summarized: UUID) -> None:
    anonymous.headers["Authorization"] = f"Bearer {keys.read}"
    give(anonymous, summarized, useful=True)
    anonymous.headers["Authorization"] = f"Bearer {keys.other_read}"
    assert give(anonymous, summarized, useful=False).status_code == 404
    assert anonymous.get(f"/v1/incidents/{summarized}/feedback").status_code == 404
    assert anonymous.get("/v1/feedback").json() == []
    assert anonymous.get("/v1/feedback/precision").json() == []


def test_answer_on_an_outage_is_about_the_summary_of_its_first_incident(
    reader: TestClient, pool: ConnectionPool[Connection], open_outage: OpenOutage
) -> None:
    outage_id = open_outage("E|/a|prod", "E|/b|prod")
    first = reader.get(f"/v1/outages/{outage_id}").json()["outage"]["first_incident_id"]
    with pool.connection() as connection:
        ai_outputs.insert(
            connection, output_id=uuid4(), incident_id=UUID(first), model="builtin", content=CONTENT
        )
    answer = reader.post(f"/v1/outages/{outage_id}/feedback", json={"useful": False, "facts": ["pool-7"]})
    assert answer.status_code == 200, answer.text
    [row] = answer.json()
    assert (row["incident_id"], row["useful"], row["facts"]) == (first, False, ["pool-7"])
    assert reader.get(f"/v1/outages/{outage_id}/feedback").json() == [row]
    assert reader.get("/v1/outages/latest/feedback").json() == [row]
    assert reader.get(f"/v1/incidents/{first}/feedback").json() == [row]


def test_outage_without_a_summary_takes_no_answer(reader: TestClient, open_outage: OpenOutage) -> None:
    answer = reader.post(f"/v1/outages/{open_outage()}/feedback", json={"useful": True})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_such_version")
    unknown = reader.post(f"/v1/outages/{uuid4()}/feedback", json={"useful": True})
    assert unknown.status_code == 404
