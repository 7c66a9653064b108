"""The reference pages are what the writers make of the code, and name every variable that is read."""

import re
from typing import Any

import pytest

from docs.writers.__main__ import rendered
from docs.writers.chart import VALUES, values
from docs.writers.schema_tables import rows
from docs.writers.settings import documented
from k8s.operator.crds import scenario_crd, stack_crd
from signals import settings
from signals.settings import EnvironmentSettings
from tests.unit.docs.markdown import GENERATED, ROOT

READERS = ("signals/local", "signals/cli", "producers")
"""Where variables are read beside the settings: before there are any, or without the product."""
READ = re.compile(
    r"""environ(?:\.get\(|\[)\s*"([A-Z_]+)"|envvar="([A-Z_]+)"|\b_?variable\(['"]([A-Z_]+)['"]\)"""
)


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    """The pages as the code describes them now."""
    return dict(rendered())


def test_every_generated_file_is_current(written: dict[str, str]) -> None:
    found = {path.name: path.read_text() for path in GENERATED.iterdir()}
    assert sorted(found) == sorted(written)
    assert [name for name in found if found[name] != written[name]] == [], "run `make reference`"


def test_every_variable_that_is_read_is_documented() -> None:
    files = [path for folder in READERS for path in (ROOT / folder).rglob("*.py")]
    files += (ROOT / "signals/settings").glob("*.py")
    matches = [match for path in files for match in READ.findall(path.read_text())]
    elsewhere = {name for groups in matches for name in groups if name} - {"PATH"}
    assert set(documented()) == settings.variables() | elsewhere


def test_every_group_of_settings_is_listed() -> None:
    ours = {kind for kind in EnvironmentSettings.__subclasses__() if kind.__module__.startswith("signals.")}
    assert ours == set(settings.GROUPS)


@pytest.mark.parametrize("kind", settings.GROUPS, ids=lambda kind: kind.__name__)
def test_every_setting_says_what_it_means(kind: type[EnvironmentSettings]) -> None:
    assert [name for name, field in kind.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("crd", [stack_crd(), scenario_crd()], ids=["stack", "scenario"])
def test_every_field_of_a_spec_says_what_it_means(crd: dict[str, Any]) -> None:
    [version] = crd["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert [field for field, _, _, meaning in rows(spec) if not meaning] == []


def test_every_value_of_the_chart_is_found() -> None:
    paths = [value.path for value in values(VALUES.read_text())]
    assert "image.repository" in paths
    assert "operator.resources.requests" in paths
    assert len(paths) == len(set(paths))
