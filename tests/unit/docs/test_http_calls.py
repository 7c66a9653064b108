"""The curl lines and status tables of the pages agree with the OpenAPI document."""

import re
import shlex
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from serve_apps.core.routes import document
from serve_apps.ingest.routes import DOORS
from tests.unit.docs.markdown import DOCS, pages, section, shell_blocks, table

ABOUT = {("get", "/"), ("get", "/healthz")}
"""Operations that no page needs to show."""
INGEST = "/v1/events"
RULES = ("/v1/rules", "/v1/why-not")
_DATA = ("-d", "--data-binary", "--data-urlencode")


@pytest.fixture(scope="module")
def paths() -> dict[str, Any]:
    """The operations of both APIs by path."""
    described = document()["paths"]
    assert isinstance(described, dict)
    return described


DOOR_PATHS = {(one.method.lower(), one.path) for one in DOORS}
"""Endpoints for other products' clients, which the document does not describe."""


def _curls() -> list[list[str]]:
    """The arguments of each curl command that asks one of our APIs."""
    commands = []
    blocks = [block for page in pages() for block in shell_blocks(page.read_text())]
    for line in (line for block in blocks for line in block.replace("\\\n", " ").splitlines()):
        for part in line.split(" | "):
            _, curl, arguments = part.partition("curl ")
            if curl and re.search(r"\$(INGEST|CORE)_API_URL", arguments):
                commands.append(shlex.split(arguments))
    return commands


def _asked(arguments: list[str]) -> tuple[str, str, set[str]]:
    """Method, path and query parameters of a curl command."""
    url = next(word for word in arguments if re.match(r"\$(INGEST|CORE)_API_URL/", word))
    parts = urlsplit(url)
    values = [value for flag, value in pairwise(arguments) if flag in _DATA]
    if "-X" in arguments:
        method = arguments[arguments.index("-X") + 1].lower()
    else:
        method = "post" if values and "-G" not in arguments else "get"
    query = parts.query if "-G" not in arguments else "&".join(value.partition("=")[0] for value in values)
    names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    path = parts.path.removeprefix(url[: url.index("/")])
    path = re.sub(r"\$([A-Z]+_ID)", lambda found: f"{{{found[1].lower()}}}", path)
    path = re.sub(r"^/v1/rules/(?!preview)[a-z-]+", "/v1/rules/{name}", path)
    return method, path, names


@pytest.mark.parametrize("arguments", _curls(), ids=lambda arguments: " ".join(_asked(arguments)[:2]))
def test_curl_line_asks_for_what_the_document_offers(arguments: list[str], paths: dict[str, Any]) -> None:
    method, path, names = _asked(arguments)
    if (method, path) in DOOR_PATHS:
        return
    assert path in paths
    assert method in paths[path]
    parameters = paths[path][method].get("parameters", ())
    assert names <= {parameter["name"] for parameter in parameters if parameter["in"] == "query"}


def test_curl_lines_show_every_operation(paths: dict[str, Any]) -> None:
    offered = {(method, path) for path, operations in paths.items() for method in operations}
    assert offered - {_asked(arguments)[:2] for arguments in _curls()} == ABOUT


@pytest.mark.parametrize(
    ("page", "of"),
    [("send-events.md", INGEST), ("read-incidents.md", ""), ("write-rules.md", RULES)],
    ids=["ingest", "core", "rules"],
)
def test_status_table_has_every_status(page: str, of: str, paths: dict[str, Any]) -> None:
    rows = table(section((DOCS / "how-to" / page).read_text(), "Statuses"), "status")
    answered = {
        code
        for path, operations in paths.items()
        for operation in operations.values()
        for code in operation["responses"]
        if not path.endswith("healthz")
        if path.startswith(of or "/") and (of or not path.startswith((INGEST, *RULES)))
    }
    assert {code for row in rows for code in row[0].split(", ")} == answered
