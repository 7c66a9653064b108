"""Locked packages have hashes, no private addresses, and a listed licence."""

import re
from pathlib import Path

import pytest

from requirements.check import LOCKED, differences
from tests.unit.docs.markdown import ROOT, table

LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
PINNED = re.compile(r"^([a-z0-9][a-z0-9.-]*)(?:\[[^]]*\])?==([^ ;\\]+)", re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_locked_package_is_pinned_with_hashes_and_without_an_address(lock: Path) -> None:
    text = lock.read_text()
    entries = [
        entry for entry in re.split(r"^(?=\S)", text, flags=re.MULTILINE) if entry[:1] not in ("", "#")
    ]
    assert entries
    assert not [entry for entry in entries if not PINNED.match(entry) or "--hash=sha256:" not in entry]
    assert "://" not in text
    assert not re.search(r"^\s*(--(extra-)?index-url|--find-links|-i |-f )", text, re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKED)
def test_lock_holds_what_pyproject_asks_for(lock: str) -> None:
    assert differences(lock) == []


def test_list_of_licences_names_exactly_the_locked_packages() -> None:
    locked = {pair for name in ("app.lock", "dev.lock") for pair in _pinned(name)}
    rows = table((ROOT / "docs" / "operations" / "licences.md").read_text(), "package")
    assert {(row[0], row[1]) for row in rows} == locked
    assert {(row[0], row[1]) for row in rows if row[2] == "yes"} == _pinned("app.lock")
    assert not [row for row in rows if not row[3]]


def _pinned(lock: str) -> set[tuple[str, str]]:
    return set(PINNED.findall((ROOT / "requirements" / lock).read_text()))
