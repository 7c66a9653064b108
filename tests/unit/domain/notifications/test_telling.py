"""An attempt that may have arrived is followed by the true state, in every order of states."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest

from signals.domain.notifications.telling import ToldState, happening, uncertain

OPEN = ToldState(status="open", severity="error", title="TIMEOUT at /checkout")
STATES = [OPEN, *(replace(OPEN, status=status) for status in ("investigating", "resolved"))]
KINDS = ["webhook", "pagerduty", "slack", "slack_webhook", "email", "apprise"]


@pytest.mark.parametrize("kind", KINDS)
def test_receiver_ends_open_or_resolved_as_the_outage_is(kind: str) -> None:
    earlier: list[ToldState | None] = [None, *STATES]
    for before, sent in product(earlier, product(STATES, repeat=4)):
        for arrivals in product([True, False], repeat=3):
            assert _shows(before, sent, arrivals, kind) == (sent[-1].status != "resolved"), (sent, arrivals)


def _shows(
    before: ToldState | None, states: Sequence[ToldState], arrivals: Sequence[bool], kind: str
) -> bool:
    """Tell each state, all but the last without an answer; return whether the receiver shows it open."""
    shown, tried = before, None
    for state, arrives in zip(states, (*arrivals, True), strict=True):
        if happening(before, state, kind, tried=tried) is None:
            continue
        shown = state if arrives else shown
        tried = uncertain(before, tried, state)
    return shown is not None and shown.status != "resolved"


@pytest.mark.parametrize("kind", KINDS)
def test_certain_message_is_not_repeated(kind: str) -> None:
    assert happening(OPEN, OPEN, kind) is None
