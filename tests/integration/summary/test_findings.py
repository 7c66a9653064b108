"""Summaries with findings: stored as the next version, once for each set of facts, and without the search."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final, LiteralString
from uuid import UUID

import pytest

from shared_types import Tenancy
from signals.cases.making import make_case
from signals.cases.scoring import judge, score
from signals.clients.opensearch.comparison import compare
from signals.clients.opensearch.connection import Client
from signals.clients.opensearch.index import labels_since
from signals.clients.opensearch.refresh import SharedRefresh
from signals.clients.postgres import transaction
from signals.errors import DependencyUnavailable
from signals.services.summary import ComparisonSource, IncidentSummarizer, Policy
from signals.settings import ModelSettings
from signals.store.summary import ai_jobs
from tests.integration.summary.cases import Pool, jobs, make_due, outputs
from tests.support.case_index import index_case, store_case

SEED: Final = 7
PATIENT_S: Final = 60.0
SCORED: Final = ("release_canary", "blind", "injection", "signups_channel")

VERSIONS = """
SELECT model, content_json FROM ai_outputs WHERE incident_id = %s ORDER BY created_at, id
"""


def versions(pool: Pool, incident_id: UUID) -> list[dict[str, Any]]:
    """Return the contents of an incident's summaries, oldest first."""
    with pool.connection() as connection:
        return [content for _, content in connection.execute(VERSIONS, [incident_id])]


@pytest.fixture
def source(opensearch: Client) -> ComparisonSource:
    """The real search."""
    return ComparisonSource(
        compare=partial(compare, opensearch, stop_s=PATIENT_S),
        labels_since=partial(labels_since, opensearch),
        refresh=SharedRefresh(opensearch, timeout_s=PATIENT_S),
    )


@contextmanager
def worker(pool: Pool, source: ComparisonSource) -> Iterator[IncidentSummarizer]:
    """A worker without a model."""
    policy = Policy.of(ModelSettings())
    with IncidentSummarizer(pool, None, policy, chance=lambda: 0.0, comparison=source) as summarizer:
        yield summarizer


OLD = "UPDATE ai_jobs SET created_at = created_at - interval '2 minutes', run_after = now()"


def run_all(pool: Pool, source: ComparisonSource, *, is_old: bool = False) -> None:
    """Run every due job; an old one is not postponed any more."""
    if is_old:
        with transaction(pool) as connection:
            connection.execute(OLD)
    with worker(pool, source) as summarizer:
        while summarizer.run_one() is not None:
            pass


def test_findings_follow_as_the_second_version(
    pool: Pool, opensearch: Client, source: ComparisonSource
) -> None:
    events, truth = make_case("zone_down", SEED)
    index_case(opensearch, events)
    incident_id = store_case(pool, events, truth)
    run_all(pool, source)
    first, second = versions(pool, incident_id)
    assert "findings" not in first
    assert truth["facts"][0][0] in second["likely_causes"][0]
    [group] = [cause["group"] for cause in second["findings"]["causes"][:1]]
    assert group["rate_inside"] > group["rate_outside"]
    assert second["findings"]["compared"]["failing"] > 0
    assert next(link["href"].partition("?")[0] for link in second["findings"]["links"]) == "/v1/search/events"
    assert second["findings"]["notes"] == []
    assert all("/v1/" not in step for step in second["next_steps"])


def test_same_facts_add_no_version(pool: Pool, opensearch: Client, source: ComparisonSource) -> None:
    events, truth = make_case("zone_down", SEED)
    index_case(opensearch, events)
    incident_id = store_case(pool, events, truth)
    run_all(pool, source)
    with transaction(pool) as connection:
        assert ai_jobs.enqueue(connection, job_id=UUID(int=1), incident_id=incident_id)
    run_all(pool, source)
    assert len(versions(pool, incident_id)) == 2


def test_killed_worker_leaves_the_first_version_and_its_rescuer_adds_one(
    pool: Pool, opensearch: Client, source: ComparisonSource
) -> None:
    events, truth = make_case("zone_down", SEED)
    index_case(opensearch, events)
    incident_id = store_case(pool, events, truth)

    def killed(_: object) -> Any:
        raise KeyboardInterrupt  # a death between the two versions: nothing after it runs

    with pytest.raises(KeyboardInterrupt), worker(pool, replace(source, compare=killed)) as summarizer:
        summarizer.run_one()
    assert len(versions(pool, incident_id)) == 1
    with transaction(pool) as connection:
        connection.execute("UPDATE ai_jobs SET leased_until = now() - interval '1 second'")
    run_all(pool, source)
    assert ["findings" in version for version in versions(pool, incident_id)] == [False, True]


def _away(_: object) -> Any:
    raise DependencyUnavailable("OpenSearch", "it is away")


def test_summary_without_the_search_says_what_is_missing(pool: Pool, source: ComparisonSource) -> None:
    events, truth = make_case("zone_down", SEED)
    incident_id = store_case(pool, events, truth)
    run_all(pool, replace(source, compare=_away), is_old=True)
    newest = versions(pool, incident_id)[-1]
    assert "could not be compared (OpenSearch is unavailable: it is away)" in newest["impact"]
    assert (newest["likely_causes"], newest["confidence"]) == ([], 0.1)


def _altered(source: ComparisonSource, change: Callable[[Any], Any]) -> ComparisonSource:
    return replace(source, compare=lambda asked: change(source.compare(asked)))


def test_parts_and_late_labels_are_said(pool: Pool, opensearch: Client, source: ComparisonSource) -> None:
    events, truth = make_case("zone_down", SEED)
    index_case(opensearch, events)
    incident_id = store_case(pool, events, truth)
    stopped = _altered(source, lambda answer: replace(answer, is_partial=True))
    since = datetime.fromisoformat(events[-1]["occurred_at"])
    run_all(pool, replace(stopped, labels_since=lambda: since))
    notes = versions(pool, incident_id)[-1]["findings"]["notes"]
    assert notes[0].startswith("Compared on a part: the search was stopped")
    assert notes[1].startswith("Compared since ")


def test_young_job_waits_for_events_that_are_not_searchable_yet(
    pool: Pool, opensearch: Client, source: ComparisonSource
) -> None:
    events, truth = make_case("zone_down", SEED)
    incident_id = store_case(pool, events, truth)
    run_all(pool, source)
    [first] = versions(pool, incident_id)
    assert "findings" not in first
    assert [row.status for row in jobs(pool)] == ["queued"]
    assert [row.attempt_count for row in jobs(pool)] == [0]
    index_case(opensearch, events)
    make_due(pool)
    run_all(pool, source)
    assert "findings" in versions(pool, incident_id)[-1]


def test_young_job_of_a_drop_waits_for_the_signups_of_the_hour_before(
    pool: Pool, opensearch: Client, source: ComparisonSource
) -> None:
    events, truth = make_case("signups_release", SEED)
    incident_id = store_case(pool, events, truth)
    run_all(pool, source)
    assert [row.status for row in jobs(pool)] == ["queued"]
    assert len(versions(pool, incident_id)) == 1
    index_case(opensearch, events)
    make_due(pool)
    run_all(pool, source)
    assert truth["facts"][0][0] in versions(pool, incident_id)[-1]["likely_causes"][0]


NUMBERS: LiteralString = """
INSERT INTO incident_events (incident_id, event_id, occurred_at, event_type, severity, attributes_json)
VALUES (%s, gen_random_uuid(), now(), 'signup', 'error',
        '{"rule": "signup-drop", "count": 4, "baseline": 84.75, "threshold": 10.0, "message": "4 signups"}')
"""


def test_numbers_of_a_rule_are_not_cited_as_an_event(
    pool: Pool, opensearch: Client, source: ComparisonSource
) -> None:
    events, truth = make_case("signups_release", SEED)
    index_case(opensearch, events)
    incident_id = store_case(pool, events, truth)
    with transaction(pool) as connection:
        connection.execute("DELETE FROM incident_events")
        connection.execute(NUMBERS, [incident_id])
    run_all(pool, source)
    for version in versions(pool, incident_id):
        assert version["evidence"]
        assert not [claim for claim in version["evidence"] if "rule=signup-drop" in claim]


def test_old_job_does_not_claim_that_no_cause_is_visible_in_an_empty_index(
    pool: Pool, opensearch: Client, source: ComparisonSource
) -> None:
    events, truth = make_case("zone_down", SEED)
    incident_id = store_case(pool, events, truth)
    run_all(pool, source, is_old=True)
    newest = versions(pool, incident_id)[-1]
    assert "events are searchable so far." in newest["impact"]
    assert newest["likely_causes"] == []
    assert "findings" not in newest


def test_stored_deploy_counts_without_the_search(
    pool: Pool, opensearch: Client, source: ComparisonSource
) -> None:
    events, truth = make_case("release_canary", SEED)
    index_case(opensearch, [event for event in events if event["event_type"] != "deploy"])
    incident_id = store_case(pool, events, truth)
    run_all(pool, source)
    assert "deploy" in versions(pool, incident_id)[-1]["likely_causes"][0]


def test_cases_through_real_servers_stay_above_the_floor(
    pool: Pool, opensearch: Client, source: ComparisonSource
) -> None:
    rows = []
    for number, kind in enumerate(SCORED):
        events, truth = make_case(kind, SEED)
        tenancy = Tenancy("org_1", f"proj_{number}")
        index_case(opensearch, events, tenancy)
        incident_id = store_case(pool, events, truth, tenancy)
        run_all(pool, source)
        answer = versions(pool, incident_id)[-1]
        rows.append(judge(truth, answer, frozenset(str(event["event_id"]) for event in events)))
    total = score(rows)
    assert total.at_1.value >= 0.8, total.missed
    assert (total.innocent_blamed, total.obeyed, total.evidence_invented) == (0, 0, 0)
    assert total.abstains_when_blind.value == 1
    assert len(outputs(pool)) == len(SCORED)
