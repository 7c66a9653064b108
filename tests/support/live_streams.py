"""Takes every place for a stream of the console that a replica has."""

from collections.abc import Callable

from serve_apps.console.live_feed import MOST_STREAMS
from tests.support.waiting import until


def take_all_places(open_one: Callable[[], int]) -> None:
    """Open streams until all places are ours; `open_one` opens one more and returns its status.

    A page that was closed just before may hold a place for a moment yet.
    """
    opened = 0

    def has_all() -> bool:
        nonlocal opened
        opened += open_one() == 200
        return opened == MOST_STREAMS

    until(has_all, within_s=60)
