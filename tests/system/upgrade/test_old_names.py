"""Names that users know from an earlier release still work, or fail with a sentence that names the new one.

A name that goes leaves a stand-in under the old name: an entry in `signals.settings.RENAMED` for a variable,
a hidden command, a make target or a module that works or says what to use.
"""

import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from signals import settings
from signals.errors import SettingsError
from signals.settings import RuntimeSettings
from tests.system.upgrade.fixtures import Fixture
from tests.system.upgrade.names import ROOT, inventory

COMPARED: Final = ("commands", "make", "http", "chart_values", "stack_fields", "scenario_fields", "wire")
OLD: Final = "SIGNALS_TICK_SECONDS"


@pytest.fixture(scope="module")
def present() -> Any:
    """The names of the present code."""
    return inventory()


def _gone(before: Any, now: Any) -> Iterator[str]:
    """Yield the names, and the parts of names, that are not there any more."""
    for name in before:
        if name not in now:
            yield name
        elif isinstance(before, dict):
            yield from (f"{name}: {part}" for part in before[name] if part not in now[name])


@pytest.mark.parametrize("kind", COMPARED)
def test_every_public_name_still_exists(old: Fixture, present: Any, kind: str) -> None:
    assert list(_gone(old.names[kind], present[kind])) == []


def test_every_old_variable_is_read_or_named_by_a_sentence(old: Fixture, present: Any) -> None:
    assert set(old.names["variables"]) <= {*present["variables"], *settings.RENAMED}
    assert set(settings.RENAMED.values()) <= set(present["variables"])


@pytest.mark.parametrize("by_file", [False, True], ids=["in the environment", "as a secret file"])
def test_renamed_variable_fails_at_start_and_names_the_new_one(
    by_file: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(settings.base, "RENAMED", {OLD: "SIGNALS_TICK_S"})
    if by_file:
        (tmp_path / OLD).write_text("3")
        monkeypatch.setenv("SIGNALS_SECRETS_DIR", str(tmp_path))
    else:
        monkeypatch.setenv(OLD, "3")
    with pytest.raises(SettingsError, match=f"{OLD} is now SIGNALS_TICK_S"):
        RuntimeSettings.from_env()
    monkeypatch.setenv("SIGNALS_TICK_S", "4")  # both, while some still run the earlier release
    assert RuntimeSettings.from_env().tick_s == 4


def test_documented_modules_can_be_run(old: Fixture) -> None:
    assert [name for name in old.names["modules"] if importlib.util.find_spec(name) is None] == []


def test_import_paths_in_configuration_resolve(old: Fixture) -> None:
    for path in old.names["import_paths"]:
        module, _, attribute = path.replace(":", ".").rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), path


def test_documented_files_exist(old: Fixture) -> None:
    assert [name for name in old.names["files"] if not (ROOT / name).exists()] == []
