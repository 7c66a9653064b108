"""Instants that commands take as options."""

from datetime import UTC, datetime, timedelta

import pytest
import typer

from signals.cli.options import read_instant


@pytest.mark.parametrize(
    ("text", "age"),
    [("30m", timedelta(minutes=30)), ("6h", timedelta(hours=6)), ("7d", timedelta(days=7))],
)
def test_age_counts_back_from_now(text: str, age: timedelta) -> None:
    before = datetime.now(UTC)
    assert before <= read_instant(text) + age <= datetime.now(UTC)


@pytest.mark.parametrize("text", ["2026-03-01T12:00:00Z", "2026-03-01T13:30:00+01:30"])
def test_instant_is_read_in_utc(text: str) -> None:
    assert read_instant(text) == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "1x", "-5m", "2026-03-01", "2026-03-01T12:00:00", "0001-01-01T00:00:00+14:00"]
)
def test_other_text_is_refused_with_both_forms(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="an age like 30m, 6h or 7d, or an instant like 2026"):
        read_instant(text)
