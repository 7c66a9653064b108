"""The OpenAPI document is valid and comes from the tables of endpoints that answer."""

import base64
import hashlib
import re
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

from serve_apps.core.routes import ENDPOINTS, document
from serve_apps.http.docs_page import PAGE_HEADERS, docs_page
from serve_apps.http.endpoint import Endpoint
from serve_apps.ingest.routes import ENDPOINTS as INGEST_ENDPOINTS

TABLES: list[Endpoint[Any]] = [*ENDPOINTS, *INGEST_ENDPOINTS]


def test_document_is_valid() -> None:
    assert list(OpenAPIV31SpecValidator(document()).iter_errors()) == []


def test_document_has_the_operations_of_both_tables() -> None:
    operations = {
        one["operationId"]: (method, path)
        for path, methods in document()["paths"].items()
        for method, one in methods.items()
    }
    assert operations == {one.operation_id: (one.method.lower(), one.path) for one in TABLES}
    assert {"list_incidents", "get_incident", "change_status", "send_event", "send_events"} <= set(operations)


def test_document_says_which_operations_need_a_key() -> None:
    paths = document()["paths"]
    for one in TABLES:
        operation = paths[one.path][one.method.lower()]
        assert bool(operation.get("security")) == (one.right is not None)
        assert ("401" in operation["responses"]) == (one.right is not None)


def test_policy_of_the_page_allows_its_own_style_only() -> None:
    style = re.findall(r"<style>(.*?)</style>", docs_page(document()), re.DOTALL)
    assert len(style) == 1
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in PAGE_HEADERS["Content-Security-Policy"]
