"""Both fast paths take an event of every word in the contract, also of a word that was added to it."""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import shared_types
from shared_types import Attributes, Environment, EventType, Severity, Tenancy, canonicalize
from shared_types.envelope import TEXT_ATTRIBUTES
from signals.domain.events import sightings
from signals.domain.events.plain_events import PlainEvents, PlainRecord
from signals.domain.events.sightings import SightingReader, sighting_of
from tests.support.events import NOON, TENANCY

GROWN = """
from datetime import UTC, datetime
from uuid import UUID
from shared_types import Tenancy, canonicalize, parse_envelope
from signals.domain.events import sightings
from signals.domain.events.plain_events import PlainEvents

at, tenancy = datetime(2026, 3, 1, 12, tzinfo=UTC), Tenancy("org_1", "proj_1")
body = {"occurred_at": at.isoformat(), "message": "m", "event_type": "REFUND", "environment": "qa",
        "severity": "fatal"}
envelope = canonicalize(body, tenancy=tenancy, received_at=at, event_id=UUID(int=1))
record = PlainEvents(tenancy, at).record(body, UUID(int=1))
assert record is not None and record.value == envelope.to_json()
strictly = []
sightings.parse_envelope = lambda data: strictly.append(data) or parse_envelope(data)
reader = sightings.SightingReader()
assert [reader.read(record.value) for _ in range(3)] == [sightings.sighting_of(envelope)] * 3
assert len(strictly) == 1
print("taken")
"""


@pytest.mark.parametrize(
    ("event_type", "environment", "severity"), list(itertools.product(EventType, Environment, Severity))
)
def test_fast_paths_take_every_word_of_the_contract(
    event_type: EventType, environment: Environment, severity: Severity, monkeypatch: pytest.MonkeyPatch
) -> None:
    body: dict[str, Any] = {
        "event_type": event_type.value,
        "environment": environment.value,
        "severity": severity.value,
        "occurred_at": NOON.isoformat(),
        "message": "m",
        "attributes": {name: name for name in TEXT_ATTRIBUTES} | {"status_code": 200},
    }
    envelope = canonicalize(body, tenancy=TENANCY, received_at=NOON, event_id=UUID(int=1))
    record = PlainEvents(TENANCY, NOON).record(body, UUID(int=1))
    assert record == PlainRecord(
        str(UUID(int=1)), shared_types.partition_key(envelope).encode(), envelope.to_json()
    )
    reader = SightingReader()
    reader.read(envelope.to_json())  # the first of its kind is read strictly
    monkeypatch.setattr(sightings, "parse_envelope", None)
    assert reader.read(envelope.to_json()) == sighting_of(envelope)


def test_fast_paths_take_a_word_that_is_added_to_the_contract(tmp_path: Path) -> None:
    """Nothing but the vocabulary is edited: a literal copy of it elsewhere would refuse the new words."""
    copy = shutil.copytree(Path(shared_types.__file__).parent, tmp_path / "shared_types")
    text = (copy / "vocabulary.py").read_text()
    for last, new in [('DEV = "dev"', 'QA = "qa"'), ('CUSTOM = "custom"', 'REFUND = "refund"')]:
        assert last in text
        text = text.replace(last, f"{last}\n    {new}")
    (copy / "vocabulary.py").write_text(text.replace("CRITICAL =", 'FATAL = "fatal"\n    CRITICAL ='))
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    finished = subprocess.run(
        [sys.executable, "-c", GROWN], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert (finished.stdout.strip(), finished.stderr) == ("taken", "")


def test_fast_paths_know_every_indexed_attribute() -> None:
    """They treat those that are no text as status codes."""
    assert set(Attributes.model_fields) - set(TEXT_ATTRIBUTES) == {"status_code"}


@pytest.mark.parametrize("name", TEXT_ATTRIBUTES)
def test_fast_paths_leave_a_text_beyond_its_limit_to_the_contract(name: str) -> None:
    body = {"event_type": "error", "occurred_at": NOON.isoformat(), "message": "m"}
    longest = "x" * TEXT_ATTRIBUTES[name]
    events = PlainEvents(Tenancy("org_1", "proj_1"), NOON)
    assert events.record(body | {"attributes": {name: longest}}, UUID(int=1)) is not None
    assert events.record(body | {"attributes": {name: longest + "x"}}, UUID(int=1)) is None
