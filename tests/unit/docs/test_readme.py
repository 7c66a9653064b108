"""The README says what the code does: variables, fixtures, curl lines, links, make targets."""

import re
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from fastapi import FastAPI
from pydantic_core import PydanticUndefined

from serve_apps.core.routes import router
from serve_apps.http.openapi import describe_both_apis
from signals import settings
from signals.cli.lazy import COMMANDS, commands_of
from signals.settings import EnvironmentSettings
from tests.unit.docs.markdown import ROOT, section, shell_blocks, table

README = (ROOT / "README.md").read_text()
READERS = ("signals/local", "signals/cli", "producers")
"""Where variables are read beside the settings: before there are any, or without the product."""
READ = re.compile(
    r"""environ(?:\.get\(|\[)\s*"([A-Z_]+)"|envvar="([A-Z_]+)"|_variable\(['"]([A-Z_]+)['"]\)"""
)


def _shown(default: object) -> str:
    if default is PydanticUndefined:
        return "required"
    if default is None:
        return "-"
    return str(default).lower() if isinstance(default, bool) else str(default)


def _settings() -> dict[str, str]:
    variables = {}
    for kind in EnvironmentSettings.__subclasses__():
        assert kind.__module__ == settings.__name__
        prefix = kind.model_config.get("env_prefix", "")
        for name, field in kind.model_fields.items():
            variables[(prefix + name).upper()] = _shown(field.default)
    return variables


def _read_elsewhere() -> set[str]:
    files = [path for folder in READERS for path in (ROOT / folder).rglob("*.py")]
    files.append(ROOT / "signals/settings.py")
    found = [match for path in files for match in READ.findall(path.read_text())]
    return {name for groups in found for name in groups if name} - {"PATH"}


def test_configuration_table_names_every_variable_that_is_read_and_no_other() -> None:
    rows = table(section(README, "Configuration"), "variable")
    names = [row[0] for row in rows]
    assert len(names) == len(set(names))
    assert set(names) == set(_settings()) | _read_elsewhere()


def test_configuration_table_states_the_defaults_of_the_settings() -> None:
    defaults = {row[0]: row[1] for row in table(section(README, "Configuration"), "variable")}
    assert {name: defaults[name] for name in _settings()} == _settings()


def test_fixtures_table_is_that_of_the_fixtures() -> None:
    ours = table(section(README, "Recorded scenarios"), "file")
    assert ours == table((ROOT / "fixtures/README.md").read_text(), "file")


def _document() -> dict[str, Any]:
    app = FastAPI()
    app.include_router(router)
    describe_both_apis(app)
    return app.openapi()


def _curls() -> list[list[str]]:
    commands = []
    for block in shell_blocks(section(README, "HTTP API")):
        lines = block.replace("\\\n", " ").splitlines()
        for part in (part for line in lines for part in line.split(" | ")):
            _, curl, arguments = part.partition("curl ")
            if curl:
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
    path = parts.path.removeprefix(url[: url.index("/")]).replace("$INCIDENT_ID", "{incident_id}")
    return method, path, names


_DATA = ("-d", "--data-binary", "--data-urlencode")


@pytest.mark.parametrize("arguments", _curls(), ids=lambda arguments: " ".join(_asked(arguments)[:2]))
def test_curl_line_asks_for_what_the_openapi_document_offers(arguments: list[str]) -> None:
    method, path, names = _asked(arguments)
    operations = _document()["paths"].get(path)
    assert operations, path
    assert method in operations
    assert names <= {p["name"] for p in operations[method].get("parameters", ()) if p["in"] == "query"}


def test_curl_lines_show_every_operation_but_the_pages_about_the_api() -> None:
    offered = {(method, path) for path, operations in _document()["paths"].items() for method in operations}
    shown = {_asked(arguments)[:2] for arguments in _curls()}
    assert offered - shown == {("get", "/"), ("get", "/healthz")}


def test_statuses_table_has_every_status_of_the_openapi_document() -> None:
    stated = {code for row in table(section(README, "HTTP API"), "status") for code in row[0].split(", ")}
    answered = {
        code
        for operations in _document()["paths"].values()
        for operation in operations.values()
        for code in operation["responses"]
    }
    assert stated == answered


@pytest.mark.parametrize("block", shell_blocks(README))
def test_shell_blocks_are_shell(block: str) -> None:
    subprocess.run(["bash", "-n"], input=block, text=True, check=True)


@pytest.mark.parametrize("page", ["README.md", "docs/decisions.md", "CHANGELOG.md"])
def test_links_and_named_modules_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")]
    targets += re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.[a-z]+)?)`", text) if page == "README.md" else []
    missing = [target for target in targets if not ((ROOT / page).parent / target).exists()]
    assert missing == []


def test_make_targets_exist() -> None:
    named = set(re.findall(r"(?m)(?:^|`)make ([a-z][a-z0-9-]*)", README))
    assert named <= set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_commands_exist() -> None:
    named = re.findall(r"(?m)(?:^|`|\(|exec app )signals ([a-z]+)(?: ([a-z]+))?", README)
    missing = [first for first, _ in named if first not in COMMANDS]
    assert missing == []
    loaded = {name: commands_of(module)[name] for name, (module, _) in COMMANDS.items()}
    groups = {name: list(getattr(command, "commands", ())) for name, command in loaded.items()}
    assert [pair for pair in named if pair[1] and groups[pair[0]] and pair[1] not in groups[pair[0]]] == []


def test_no_page_leads_out_of_the_repository() -> None:
    pages: list[Path] = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    assert [
        page.name for page in pages if "../shared" in (text := page.read_text()) or str(ROOT) in text
    ] == []
