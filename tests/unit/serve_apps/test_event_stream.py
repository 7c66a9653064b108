"""Server-sent events are read back as they were written, with every text."""

import pytest

from serve_apps.http.event_stream import BEAT, server_event


def fields(event: bytes) -> list[tuple[str, str]]:
    """Read an event as a browser does."""
    text, end = event.decode().split("\n\n")
    assert end == ""
    return [(name, value) for name, _, value in (line.partition(": ") for line in text.split("\n"))]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("changed", ["changed"]),
        ("", [""]),
        ("two\nlines", ["two", "lines"]),
        ("a\r\nid: 7\n\nevent: x", ["a", "id: 7", "", "event: x"]),
        ("\u2028 and \x85", None),
    ],
)
def test_text_cannot_begin_a_field_of_its_own(text: str, lines: list[str] | None) -> None:
    found = fields(server_event(text, kind="answer", number=12))
    assert found[:2] == [("event", "answer"), ("id", "12")]
    assert {name for name, _ in found[2:]} == {"data"}
    if lines is not None:
        assert [value for _, value in found[2:]] == lines


def test_beat_is_a_comment() -> None:
    assert BEAT.startswith(b":")
    assert BEAT.endswith(b"\n\n")
