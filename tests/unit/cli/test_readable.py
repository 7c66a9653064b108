"""Formats of a terminal's output."""

import pytest

from signals.cli.readable import plain, sparkline


@pytest.mark.parametrize(
    ("counts", "width", "expected"),
    [
        ([], 10, ""),
        ([0, 0], 10, "▁▁"),
        ([0, 1, 7], 10, "▁▂█"),
        ([0, 1, 1000], 10, "▁▂█"),
        ([1, 5, 2, 9], 2, "▅█"),
        ([3] * 5, 2, "██"),
    ],
)
def test_sparkline_keeps_peaks_and_shows_a_single_event(counts: list[int], width: int, expected: str) -> None:
    assert sparkline(counts, width=width) == expected


def test_control_characters_never_reach_the_terminal() -> None:
    assert plain("a\x1b[31mb\x00\n") == "a\ufffd[31mb\ufffd\ufffd"
    assert plain(None) == ""
