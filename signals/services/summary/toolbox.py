"""The five read-only tools of a conversation: tenant, environment and time are ours, results are bounded.

Nothing that a model sends widens what it sees: its filters are joined to ours, its minutes are cut to ours.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg_pool import ConnectionPool

from shared_types import Tenancy
from signals.clients.opensearch.search import EventSearch, FoundEvents
from signals.clients.opensearch.search_counts import SearchPart
from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import minute_of
from signals.domain.findings.verdict import find
from signals.domain.queries.parameters import InvalidQuery
from signals.domain.queries.search import AnyOf, EventQuery, event_query
from signals.domain.summary.brief import Brief, BriefEvent
from signals.domain.summary.conversation.asking import as_result
from signals.domain.summary.conversation.tool_arguments import (
    ToolRefused,
    arguments_of,
    known_tool,
    minutes_of,
    text_of,
)
from signals.domain.summary.conversation.turns import Conversation, ToolCall, ToolResult
from signals.domain.summary.exhibits import describe_event, instant
from signals.domain.summary.explained import causes_of, reach_of
from signals.domain.summary.redaction import Redactor
from signals.domain.summary.surroundings import ENDINGS, sentences_of
from signals.errors import DependencyUnavailable
from signals.services.summary.case import surroundings_of
from signals.services.summary.comparing import ComparisonSource, compared_place, question_of
from signals.store.deploys import deploys
from signals.store.deploys.deploys import DeployFilter

BEFORE: Final = timedelta(minutes=75)  # of the opening: the hour that is compared with, and a slow rule
AFTER: Final = timedelta(minutes=15)  # of the newest event of the incident
DEPLOYS_BEFORE: Final = timedelta(hours=24)
EVENTS_SHOWN: Final = 8
CHANGES_SHOWN: Final = 10
MINUTES_SHOWN: Final = 20  # of a histogram


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSources:
    """Where tools read."""

    pool: ConnectionPool[Connection]
    events: EventSearch
    comparison: ComparisonSource


class Toolbox:
    """The tools of one incident; used by one thread."""

    def __init__(self, sources: ToolSources, brief: Brief, *, redacts: bool) -> None:
        self._sources = sources
        self._brief = brief
        self._redactor = Redactor() if redacts else None
        incident = brief.incident
        self._tenancy = Tenancy(incident.org_id, incident.project_id)
        self._since, self._until = incident.opened_at - BEFORE, incident.last_seen_at + AFTER
        self._tools: Mapping[str, Callable[[Mapping[str, Any]], Iterable[str]]] = {
            "search_events": self._search,
            "facets": self._facets,
            "compare_windows": self._compare,
            "deploys_and_changes": self._changes,
            "past_incidents": self._past,
        }

    def run(self, call: ToolCall, conversation: Conversation, number: int) -> ToolResult:
        """Carry out a call, or say why not; never raises because of what a model sent or a server lacks."""
        began = time.monotonic()
        same = conversation.repeated(call)
        if same is not None:
            lines: list[str] = [f"The same call as {same.ref}: its result stands there. Ask something else."]
        else:
            try:
                lines = list(self._tools[known_tool(call)](arguments_of(call)))
            except (ToolRefused, InvalidQuery) as error:
                lines = [f"Refused: {error}"]
            except (DependencyUnavailable, LookupError) as error:
                lines = [f"Not available: {error}"]
        seconds = round(time.monotonic() - began, 3)
        return ToolResult(ref=f"T{number}", call=call, text=as_result(lines), seconds=seconds)

    def _redacted(self, name: str, value: object) -> object:
        """Return a value without secrets and personal data; `name` tells a release from a token."""
        return value if self._redactor is None else self._redactor.members({name: value})[name]

    def _search(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        found = self._found(arguments, limit=EVENTS_SHOWN)
        yield _total(found)
        yield from map(self._described, found.events)

    def _facets(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        found = self._found(arguments, limit=1, parts=(SearchPart.FACETS, SearchPart.HISTOGRAM))
        yield _total(found)
        overview = found.overview
        if overview is None or overview.facets is None or overview.histogram is None:
            return
        for name, values in overview.facets.items():
            if values:
                yield f"{name}: " + ", ".join(
                    f"{self._redacted(name, one.value)} in {one.count}" for one in values
                )
        for bucket in overview.histogram.buckets[-MINUTES_SHOWN:]:
            yield f"from {instant(bucket.at)} on, for {overview.histogram.interval}: {bucket.count}"

    def _compare(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        place = compared_place(self._brief.incident.parts)
        if place is None:
            raise ToolRefused("incidents of this rule cannot be compared; use facets instead")
        question, _ = question_of(self._sources.pool, self._brief, place)
        begin, end = self._range(arguments)
        if "from_minutes" in arguments:
            question = replace(question, onset=replace(question.onset, minute=minute_of(begin)))
        if "to_minutes" in arguments:
            question = replace(question, now=minute_of(end))
        if question.now < question.onset.minute:
            raise ToolRefused("to_minutes must not lie before from_minutes")
        answer = self._sources.comparison.compare(question)
        findings, counted = find(answer.comparison), answer.comparison
        yield (
            f"{counted.failing.total} failing and {counted.working.total} working events, "
            f"{counted.working_before.total} working and {counted.errors_before.total} errors the hour before"
        )
        yield from causes_of(findings)
        yield from reach_of(findings)
        if answer.is_partial:
            yield "The search was stopped before it had read every event."

    def _changes(self, _: Mapping[str, Any]) -> Iterator[str]:
        incident = self._brief.incident
        wanted = DeployFilter(
            project_id=incident.project_id,
            environment=incident.environment,
            since=incident.opened_at - DEPLOYS_BEFORE,
            until=self._until,
        )
        with transaction(self._sources.pool) as connection:
            known = deploys.list_deploys(connection, wanted, limit=CHANGES_SHOWN)
        for one in known:
            release = self._redacted("release", one.release) or "an unnamed release"
            service = self._redacted("service", one.service) or "no service named"
            minutes = round((incident.opened_at - one.occurred_at).total_seconds() / 60)
            side = f"{minutes} minutes before" if minutes >= 0 else f"{-minutes} minutes after"
            what = f"deploy of {release} ({service}, {one.status})"
            yield f"{instant(one.occurred_at)} {what}, {side} the opening"
        if not known:
            yield "No deploy in the day before."
        customs = self._found({"filters": "event_type:custom"}, limit=CHANGES_SHOWN)
        yield f"Custom events: {_total(customs)}"
        yield from map(self._described, customs.events)

    def _past(self, _: Mapping[str, Any]) -> Iterator[str]:
        around = surroundings_of(self._sources.pool, self._brief.incident, None)
        yield from sentences_of(around)
        for one in around.past:
            ended = (
                f"{ENDINGS.get(one.resolve_reason or '', 'resolved')} {instant(one.resolved_at)}"
                if (one.resolved_at)
                else "not resolved"
            )
            named = self._redacted("first_cause", one.first_cause) or "nothing"
            yield f"opened {instant(one.opened_at)}, {ended}; the summary named: {named}"
            if one.cause:
                yield f"a person wrote: {self._redacted('cause', one.cause)}"
        if not around.past:
            yield "No former incident of this series."

    def _found(
        self, arguments: Mapping[str, Any], *, limit: int, parts: Collection[SearchPart] = ()
    ) -> FoundEvents:
        asked = event_query(
            text=text_of(arguments, "text"), filters=tuple(filter(None, [text_of(arguments, "filters")])),
            since=None, until=None,
        )  # fmt: skip
        begin, end = self._range(arguments)
        ours = AnyOf(field="environment", values=(self._brief.incident.environment,))
        query = EventQuery(text=asked.text, filters=(*asked.filters, ours), since=begin, until=end)
        return self._sources.events.first(self._tenancy, query, limit=limit, parts=parts, is_paged=False)

    def _range(self, arguments: Mapping[str, Any]) -> tuple[datetime, datetime]:
        """Return the instants that the arguments name, cut to what this conversation may see."""
        opened = self._brief.incident.opened_at
        begin = minutes_of(arguments, "from_minutes", opened, self._since)
        end = minutes_of(arguments, "to_minutes", opened, self._until)
        return max(begin, self._since), min(end, self._until)

    def _described(self, event: Mapping[str, Any]) -> str:
        attributes = dict(event.get("attributes") or {}) | {"message": event.get("message", "")}
        if self._redactor is not None:
            attributes = self._redactor.members(attributes)
        return describe_event(
            BriefEvent(
                event_id=UUID(str(event["event_id"])),
                occurred_at=datetime.fromisoformat(str(event["occurred_at"])).astimezone(UTC),
                event_type=str(event["event_type"]),
                severity=str(event["severity"]),
                attributes=attributes,
            )
        )


def _total(found: FoundEvents) -> str:
    return f"{found.total} events match" + ("" if found.total_is_exact else ", or more")
