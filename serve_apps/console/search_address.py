"""The address of a search: one line in the API's own language, and a span of time."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from serve_apps.console.pages import Visit
from signals.clients.opensearch.search_counts import SearchPart
from signals.domain.queries.parameters import InvalidQuery, instant
from signals.domain.queries.query_line import SearchLine, split_line
from signals.services.events.search import SearchRequest

RANGES: Final[Mapping[str, tuple[timedelta, str]]] = {
    "15m": (timedelta(minutes=15), "15 minutes"),
    "1h": (timedelta(hours=1), "hour"),
    "6h": (timedelta(hours=6), "6 hours"),
    "24h": (timedelta(hours=24), "24 hours"),
    "7d": (timedelta(days=7), "7 days"),
    "30d": (timedelta(days=30), "30 days"),
}
DEFAULT_RANGE: Final = "24h"
OPTIONAL_PARTS: Final = (SearchPart.FACETS, SearchPart.COMPARISON)
KEPT: Final = ("q", "since", "until", *OPTIONAL_PARTS)
_LOCAL: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?")
"""As browsers write the field of a local time."""


@dataclass(frozen=True, slots=True)
class SearchAddress:
    """The address that a visit came by."""

    visit: Visit

    @property
    def text(self) -> str:
        """The line; links of earlier releases have its filters in a parameter of their own."""
        return f"{self.visit.query('q')} {self.visit.query('filters')}".strip()

    @property
    def line(self) -> SearchLine:
        """The line, read.

        Raises:
            InvalidQuery: for what looks like a filter and is none.
        """
        return split_line(self.text)

    @property
    def since(self) -> str:
        """A span of `RANGES`, or the instant at which the span begins."""
        return self.visit.query("since") or DEFAULT_RANGE

    @property
    def is_relative(self) -> bool:
        """Whether the span ends now."""
        return self.since in RANGES

    @property
    def begins(self) -> str:
        """The instant at which the span begins: further pages of a relative one have it in `from`."""
        if not self.is_relative:
            return self.since
        return self.visit.query("from") or (self.visit.clock.now - RANGES[self.since][0]).isoformat()

    @property
    def until(self) -> str:
        """The instant at which an absolute span ends, empty while it lasts until now."""
        return "" if self.is_relative else self.visit.query("until")

    @property
    def span(self) -> str:
        """The span in words."""
        if self.is_relative:
            return f"last {RANGES[self.since][1]}"
        return f"{self._moment(self.since)} to {self._moment(self.until) if self.until else 'now'}"

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """The two instants of the span.

        Raises:
            InvalidQuery: when one is none.
        """
        end = instant("until", self.until) if self.until else self.visit.clock.now
        return instant("since", self.begins), end

    def _moment(self, text: str) -> str:
        try:
            return self.visit.clock.moment(instant("since", text))
        except InvalidQuery:
            return text

    def local(self, text: str) -> str:
        """Write an instant as the field of a local time takes it, empty when it is none."""
        try:
            return f"{self.visit.clock.local(instant('since', text)):%Y-%m-%dT%H:%M}"
        except InvalidQuery:
            return ""

    def request(self, limit: int, cursor: str | None = None) -> SearchRequest:
        """Return the question to the index.

        Raises:
            InvalidQuery: for what looks like a filter and is none.
        """
        line = self.line
        return SearchRequest(
            text=line.words or None,
            filters=[" ".join(line.pairs)] if line.pairs else (),
            since=self.begins,
            until=self.until or None,
            limit=limit,
            cursor=cursor or self.visit.query("cursor") or None,
        )

    def link(self, **changed: str) -> str:
        """Return the query of this search with some parameters changed, from its first page."""
        given = {name: self.visit.query(name) for name in KEPT} | {"q": self.text, "until": self.until}
        return "?" + urlencode({name: value for name, value in (given | changed).items() if value})

    def narrowed(self, key: str, value: str | int, *, excludes: bool = False) -> str:
        """Return the query of this search, narrowed to a value, or to all others."""
        try:
            line = self.line
        except InvalidQuery:  # of the page of an event, which does not search
            line = SearchLine(words="", pairs=())
        return self.link(q=line.narrowed(key, value, excludes=excludes))

    def exact(self) -> str:
        """Return the query with the span of the fields `begin` and `end`, local times; empty without them.

        Raises:
            InvalidQuery: when one is no time.
        """
        begin, end = (self._instant(name) for name in ("begin", "end"))
        if not begin and not end:
            return ""
        return self.link(since=begin or self.begins, until=end)

    def _instant(self, name: str) -> str:
        text = self.visit.query(name)
        if text and not _LOCAL.fullmatch(text):
            raise InvalidQuery(name, "write a time like 2025-12-27T10:00")
        try:
            local = datetime.fromisoformat(text).replace(tzinfo=self.visit.clock.zone) if text else None
        except ValueError as error:
            raise InvalidQuery(name, "write a time like 2025-12-27T10:00") from error
        return written_instant(local) if local else ""


def written_instant(at: datetime) -> str:
    """Write an instant as addresses have it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
