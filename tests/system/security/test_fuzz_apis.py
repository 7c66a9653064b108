"""Requests generated from the OpenAPI document: every answer of both APIs matches the document."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg_pool import ConnectionPool
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from signals.clients.postgres import Connection
from tests.system.security.conftest import Surface

EXAMPLES = 10  # of each operation and mode, the same in each run
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
INCIDENT = UUID(int=1, version=4)
INSERT_INCIDENT = """
INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status, severity, title, opened_at,
                       last_seen_at)
VALUES (%s, 'org_1', 'proj_1', 'prod', 'TIMEOUT|/checkout|prod', 'open', 'error', 'Fails', now(), now())
"""
INSERT_OUTAGE = """
INSERT INTO pipeline.outages (id, project_id, window_id, opened_at, newest_at, verdict, severity, status)
SELECT id, project_id, id, opened_at, opened_at, 'confirmed', severity, status FROM incidents
"""
INSERT_MEMBER = """
INSERT INTO pipeline.outage_members (incident_id, outage_id, project_id, environment, fingerprint, opened_at)
SELECT id, id, project_id, environment, fingerprint, opened_at FROM incidents
"""
NOT_HTTP = (
    400,
    "Invalid HTTP request received.",
)  # uvicorn's own answer, to an address of 64 KiB for example


@pytest.fixture
def session(surface: Surface, pool: ConnectionPool[Connection]) -> Iterator[requests.Session]:
    """One connection kept open, with an incident and its outage to be found."""
    with pool.connection() as connection:
        connection.execute(INSERT_INCIDENT, [INCIDENT])
        connection.execute(INSERT_OUTAGE)
        connection.execute(INSERT_MEMBER)
    with requests.Session() as session:
        yield session


# Schemathesis 4.32 draws from `random` inside its own strategies; hypothesis seeds that as well.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_answer_violates_the_openapi_document(
    surface: Surface, session: requests.Session, mode: GenerationMode
) -> None:
    document = session.get(surface.base_url + "/openapi.json").json()
    broken, tried = [], 0
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = result.ok()  # type: ignore[union-attr]  # a faulty document fails here
        tried += 1
        takes_anything = {"parameters", "requestBody"} & operation.definition.raw.keys()
        if mode is GenerationMode.NEGATIVE and not takes_anything:
            continue  # nothing of the request can be wrong
        try:
            _fuzz(operation, mode, surface, session)
        except* Exception as failures:  # noqa: BLE001  # all operations are tried before the report
            broken.append(f"{operation.method.upper()} {operation.path}: {failures.exceptions!r}")
    assert tried == sum(len(operations) for operations in document["paths"].values())
    assert not broken, "\n\n".join(broken)


def _fuzz(
    operation: APIOperation[Any, Any, Any, Any],
    mode: GenerationMode,
    surface: Surface,
    session: requests.Session,
) -> None:
    key = surface.ingest if operation.path.startswith("/v1/events") else surface.admin

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],  # the first failure as it came is clear enough, and shrinking is slow
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    def fuzz(case: Case[Any], known: bool) -> None:
        for name in {"incident_id", "outage_id"} & set(case.path_parameters if known else ()):
            case.path_parameters[name] = str(INCIDENT)
        if known and "name" in case.path_parameters:
            case.path_parameters["name"] = "errors-above-usual"
        answer = case.call(
            base_url=surface.base_url, session=session, headers={"X-API-Key": key}, timeout=120
        )
        if (answer.status_code, answer.text) == NOT_HTTP:
            return
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == ["application/problem+json"]
            assert key not in answer.text

    fuzz()
