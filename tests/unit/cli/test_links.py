"""Links of the API become commands that can be pasted, however hostile the values in them."""

import shlex

import pytest

from signals.cli.links import command_for


@pytest.mark.parametrize(
    ("href", "words"),
    [
        (
            "/v1/search/events?filters=event_type%3Aerror+route%3A%22%2Fcart%22&since=2026-11-29T14%3A45%3A00Z",
            [
                "signals",
                "search",
                "--filter",
                'event_type:error route:"/cart"',
                "--since",
                "2026-11-29T14:45:00Z",
            ],
        ),
        (
            "/v1/search/events?filters=error_code%3A%22%24%28reboot%29%22",
            ["signals", "search", "--filter", 'error_code:"$(reboot)"'],
        ),
        ("/v1/deploys/06a58c7e", ["signals", "deploys", "show", "06a58c7e"]),
        ("/v1/ledger", ["GET", "/v1/ledger"]),
    ],
)
def test_link_becomes_a_quoted_command(href: str, words: list[str]) -> None:
    assert shlex.split(command_for(href)) == words


def test_control_characters_of_a_link_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in command_for("/v1/search/events?filters=route%3A%1B%5B2J")
