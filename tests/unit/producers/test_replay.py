"""Reading recordings: shifted instants, kept ids, omitted lines."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer

from producers.ndjson import replay, survey
from producers.plan import Planned
from producers.replay import Rebase, parse_speed, plan_course

_NOW = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
_ID = "00000000-0000-4000-8000-000000000001"


def _event(minute: int, **changes: object) -> dict[str, object]:
    return {
        "event_type": "custom",
        "occurred_at": f"2025-12-27T10:{minute:02}:00Z",
        "message": "m",
        **changes,
    }


def _write(path: Path, *events: Mapping[str, object]) -> Path:
    path.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    return path


def _plan(
    *paths: Path, speed: float = 0.0, rebase: Rebase = Rebase.NOW, now: datetime = _NOW
) -> list[Planned]:
    return list(replay(plan_course([survey(path) for path in paths], speed, rebase, now)))


def _sent(*paths: Path, rebase: Rebase = Rebase.NOW, now: datetime = _NOW) -> list[dict[str, Any]]:
    return [json.loads(planned.body) for planned in _plan(*paths, rebase=rebase, now=now)]


def test_rebase_moves_the_last_event_to_now_and_keeps_intervals(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.ndjson", _event(0), _event(7), _event(30))
    instants = [datetime.fromisoformat(event["occurred_at"]) for event in _sent(path)]
    now = _NOW.replace(microsecond=123_000)
    assert instants == [now - timedelta(minutes=minutes) for minutes in (30, 23, 0)]


def test_speed_factor_makes_the_last_event_occur_when_sent(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.ndjson", _event(0), _event(30))
    first, last = _plan(path, speed=60)
    assert (first.due_s, last.due_s) == (0.0, 30.0)
    sent_at = _NOW.replace(microsecond=123_000) + timedelta(seconds=30)
    assert datetime.fromisoformat(json.loads(last.body)["occurred_at"]) == sent_at


def test_slow_replay_sends_no_event_of_the_future(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.ndjson", _event(0), _event(30))
    last = _plan(path, speed=0.5)[-1]
    assert last.due_s == 3600.0
    assert datetime.fromisoformat(json.loads(last.body)["occurred_at"]) <= _NOW


def test_files_of_different_days_are_replayed_side_by_side(tmp_path: Path) -> None:
    one = _write(tmp_path / "one.ndjson", _event(0, message="1"), _event(20, message="3"))
    other = _write(
        tmp_path / "other.ndjson",
        {**_event(0, message="2"), "occurred_at": "2020-01-01T00:00:00Z"},
        {**_event(0, message="4"), "occurred_at": "2020-01-01T00:10:00Z"},
    )
    assert [event["message"] for event in _sent(one, other)] == ["1", "2", "3", "4"]


def test_second_replay_makes_new_ids_and_repeated_request_keeps_them(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.ndjson", _event(0, event_id=_ID), _event(1))
    again = _NOW + timedelta(seconds=1)
    ids = [[event["event_id"] for event in _sent(path, now=now)] for now in (_NOW, _NOW, again)]
    assert ids[0] == ids[1]
    assert len({*ids[0], *ids[2], _ID}) == 5
    assert uuid.UUID(ids[0][1]).version == 5


def test_without_rebase_instants_and_ids_stay_and_missing_ids_are_stable(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.ndjson", _event(0, event_id=_ID), _event(1))
    sent = _sent(path, rebase=Rebase.NONE)
    assert sent == _sent(path, rebase=Rebase.NONE, now=_NOW + timedelta(hours=1))
    assert sent[0] == _event(0, event_id=_ID)
    assert sent[1]["event_id"] is not None


def test_tenant_and_receipt_of_the_recording_are_dropped(tmp_path: Path) -> None:
    recorded = _event(0, org_id="org_9", project_id="proj_9", received_at="2025-12-27T10:00:00Z")
    (sent,) = _sent(_write(tmp_path / "a.ndjson", recorded))
    assert set(sent) == {"event_type", "occurred_at", "message", "event_id"}


def test_malformed_lines_are_named_and_left_out(tmp_path: Path) -> None:
    lines = [
        json.dumps(_event(0)),
        "{broken",
        "",
        "[1]",
        json.dumps({"message": "no instant"}),
        json.dumps(_event(0, occurred_at="2025-12-27T10:00:00")),
        json.dumps(_event(0, occurred_at="0001-01-01T00:00:00+10:00")),
        "\xff",
        json.dumps(_event(1)),
    ]
    path = tmp_path / "a.ndjson"
    path.write_bytes("\n".join(lines).encode("latin-1"))
    found = survey(path)
    assert [line.origin for line in found.malformed] == [
        f"a.ndjson:{number}" for number in (2, 4, 5, 6, 7, 8)
    ]
    assert found.events == len(_plan(path)) == 2


def test_empty_file_plans_nothing(tmp_path: Path) -> None:
    assert _plan(_write(tmp_path / "empty.ndjson")) == []


@pytest.mark.parametrize(("text", "speed"), [("60", 60.0), ("1.5x", 1.5), ("0", 0.0), ("max", 0.0)])
def test_speed_is_read_as_a_factor(text: str, speed: float) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["fast", "-1", "nan", "inf", ""])
def test_another_speed_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_speed(text)
