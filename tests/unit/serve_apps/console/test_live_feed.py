"""The feed wakes a stream at each new change, asks once for all streams, and only while one listens."""

import asyncio
from collections.abc import Collection, Mapping

from serve_apps.console.live_feed import MOST_STREAMS, LiveFeed
from signals.errors import DependencyUnavailable
from signals.store.incidents.incident_changes import NewestChange


class Changes:
    """The newest change of project `shop`; counts how often it was asked for."""

    def __init__(self) -> None:
        self.newest = NewestChange(number=10, recent=1)
        self.asked = 0
        self.is_away = False

    def read(self, project_ids: Collection[str]) -> Mapping[str, NewestChange]:
        self.asked += 1
        if self.is_away:
            raise DependencyUnavailable("postgresql", "away")
        return {"shop": self.newest} if "shop" in project_ids else {}


async def turns(changes: Changes, count: int) -> None:
    """Wait until the feed has asked so many times more."""
    wanted = changes.asked + count
    while changes.asked < wanted:  # noqa: ASYNC110  # counted in a thread
        await asyncio.sleep(0.01)


def test_stream_wakes_at_what_its_page_does_not_show() -> None:
    async def act() -> None:
        changes = Changes()
        feed = LiveFeed(changes.read)
        behind, level, other = feed.join("shop", 9), feed.join("shop", 10), feed.join("else", 0)
        assert behind
        assert level
        assert other
        await asyncio.wait_for(behind.changed.wait(), 60)
        await turns(changes, 2)
        assert not level.changed.is_set()
        changes.newest = NewestChange(number=12, recent=2)
        await asyncio.wait_for(level.changed.wait(), 60)
        assert level.after == 12
        level.changed.clear()
        changes.newest = NewestChange(number=12, recent=3)  # 11 was committed after 12
        await asyncio.wait_for(level.changed.wait(), 60)
        assert not other.changed.is_set()
        for listener in (behind, level, other):
            feed.leave(listener)

    asyncio.run(act())


def test_streams_are_bounded_and_share_one_query() -> None:
    async def act() -> None:
        changes = Changes()
        feed = LiveFeed(changes.read)
        listeners = [feed.join("shop", 0) for _ in range(MOST_STREAMS)]
        assert all(listeners)
        assert feed.join("shop", 0) is None
        await turns(changes, 2)
        assert changes.asked < MOST_STREAMS
        for listener in listeners:
            assert listener
            feed.leave(listener)
        asked = changes.asked
        await asyncio.sleep(1.2)  # longer than two turns: the silence is the experiment
        assert changes.asked <= asked + 1  # one may have been under way
        assert feed.join("shop", 0)

    asyncio.run(act())


def test_feed_goes_on_after_postgresql_was_away() -> None:
    async def act() -> None:
        changes = Changes()
        changes.is_away = True
        feed = LiveFeed(changes.read)
        listener = feed.join("shop", 0)
        assert listener
        await turns(changes, 2)
        changes.is_away = False
        await asyncio.wait_for(listener.changed.wait(), 60)
        feed.leave(listener)

    asyncio.run(act())
