"""Migrations only add, so that code of the release before runs on this schema (docs/how-to/upgrade.md)."""

import re
from pathlib import Path
from typing import Final

import pytest

from signals import migrations

FILES: Final = sorted(Path(migrations.__file__).parent.glob("*.sql"))
REMOVED: Final = re.compile(
    r"\b(DROP\s+(?:TABLE|COLUMN|SCHEMA|VIEW|TYPE)\s+(?:IF\s+EXISTS\s+)?[\w.]+"
    r"|RENAME\s+(?:TO|COLUMN|\w+\s+TO)\s+\w+"
    r"|ALTER\s+COLUMN\s+\w+\s+(?:SET\s+NOT\s+NULL|(?:SET\s+DATA\s+)?TYPE\s+\w+|DROP\s+DEFAULT))",
    re.IGNORECASE,
)
ADDED: Final = re.compile(r"\bADD\s+COLUMN\s+[^;]*?(?=,\s*ADD\b|;)", re.IGNORECASE)
OWN_TABLE: Final = re.compile(r"\bCREATE\s+(?:TEMP\s+)?TABLE\s+([\w.]+)", re.IGNORECASE)
KNOWN: Final = {"0011.detection_states": ["ALTER COLUMN window_minutes SET NOT NULL"]}
"""Before the first release."""


def breaks(text: str) -> list[str]:
    """Return what code of the release before could not live with."""
    text = re.sub(r"--.*", "", text)
    own = {f"DROP TABLE {name}" for name in OWN_TABLE.findall(text)}
    found = [" ".join(match.split()) for match in REMOVED.findall(text)]
    found += [
        " ".join(column.split())
        for column in ADDED.findall(text)
        if re.search(r"\bNOT\s+NULL\b", column, re.IGNORECASE)
        and not re.search(r"\b(DEFAULT|GENERATED)\b", column, re.IGNORECASE)
    ]
    return [change for change in found if change not in own]


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_release_before_can_live_with_the_migration(path: Path) -> None:
    assert breaks(path.read_text()) == KNOWN.get(path.stem, [])


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE incidents DROP COLUMN title;",
        "DROP TABLE incidents;",
        "ALTER TABLE incidents RENAME COLUMN title TO heading;",
        "ALTER TABLE incidents RENAME title TO heading;",
        "ALTER TABLE incidents ALTER COLUMN title TYPE bytea;",
        "ALTER TABLE incidents ALTER COLUMN title SET NOT NULL;",
        "ALTER TABLE incidents ADD COLUMN a int DEFAULT 1, ADD COLUMN heading text NOT NULL;",
    ],
)
def test_change_that_the_release_before_cannot_live_with_is_found(statement: str) -> None:
    assert len(breaks(statement)) == 1
