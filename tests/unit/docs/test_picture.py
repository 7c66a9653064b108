"""The picture of the demo tells its story, and is drawn without anything from another host."""

import html
import re
from itertools import pairwise

from docs.writers.picture import LEFT_OUT, PICTURE, draw, run_in_terminal, story

WRITTEN = """\
installing
1. Start the servers
APIs           http://127.0.0.1:8000


2. Send a shop's traffic
│ accepted            │                     1,200 │

3. Wait

CODE on /route in prod: 311 errors
evidence
  - one
  - two
  - three
  - four
  - five

5 of 6 representative events
  2026-11-29 {}

Done: 1200 events became one incident. Where to look next:
   the API  http://127.0.0.1:8000/docs
"""


def test_story_keeps_the_steps_and_shortens_the_rest() -> None:
    kept = story(WRITTEN)
    assert kept[0] == "1. Start the servers"
    assert "   1,200 events accepted" in kept
    assert kept[-5:] == ["  - three", "  - four", LEFT_OUT, "", "Done: 1200 events became one incident."]
    assert ("", "") not in pairwise(kept)


def test_picture_holds_its_lines_and_no_address_of_another_host() -> None:
    drawn = draw(["$ make demo", "1. Start <everything>"], "make demo")
    assert "Start\N{NO-BREAK SPACE}<everything>" in html.unescape(drawn)
    assert "https://" not in drawn


def test_committed_picture_shows_an_incident() -> None:
    text = html.unescape(PICTURE.read_text())
    assert "PRICE_MISSING|/cart|prod" in text
    assert "Done:\N{NO-BREAK SPACE}3000" in text
    assert not re.search(r"sign-in#\w", text)  # the link to the console works once; its token is left out


def test_terminal_has_the_width_that_was_asked_for() -> None:
    assert run_in_terminal(("sh", "-c", "stty size; echo $TERM"), 104).split() == ["60", "104", "dumb"]
