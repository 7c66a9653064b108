"""Holds one conversation: the model calls tools, then answers; each statement is checked as it arrives."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

import structlog

from signals.clients.llm import Completion, Model, ModelRefused
from signals.domain.summary.budget import estimated_tokens
from signals.domain.summary.checking import Dropped
from signals.domain.summary.conversation.asking import (
    QUESTION_PROMPT_VERSION,
    SYSTEM,
    TOOLS,
    known_lines,
)
from signals.domain.summary.conversation.statements import MAX_STATEMENTS, Statement, checked_statement
from signals.domain.summary.conversation.turns import (
    LAST_SECONDS,
    MAX_CALLS,
    MAX_SECONDS,
    Conversation,
    ModelTurn,
    ToolResult,
)
from signals.services.summary.case import SummaryCase
from signals.services.summary.spending import Spending
from signals.services.summary.toolbox import Toolbox

NOTHING_CITED: Final = "The model said nothing that cites a result."
SHORTEST_S: Final = 1.0  # for a call of the model when the time is over

Emit = Callable[[str, Mapping[str, object]], None]
"""Gets each step as it happens: `tool`, `statement`, `dropped`."""

log = structlog.get_logger(__name__)


class ConversationAbandoned(Exception):  # noqa: N818  # reads as the state it names
    """The reader has left: nothing more is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """The reader of a conversation; `has_left` is asked between steps."""

    emit: Emit
    has_left: Callable[[], bool]


SILENT: Final = Listener(emit=lambda _, __: None, has_left=lambda: False)


@dataclass(slots=True)
class _Answer:
    """Collects checked statements, line by line."""

    texts: Mapping[str, str]
    emit: Emit
    rest: str = ""
    statements: list[Statement] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)

    def feed(self, piece: str) -> None:
        *lines, self.rest = (self.rest + piece).split("\n")
        for line in lines:
            self._check(line)

    def end(self) -> None:
        self._check(self.rest)
        self.rest = ""

    def _check(self, line: str) -> None:
        found = checked_statement(line, self.texts)
        if isinstance(found, Statement) and len(self.statements) < MAX_STATEMENTS:
            self.statements.append(found)
            self.emit("statement", asdict(found))
        elif isinstance(found, Dropped) and len(self.dropped) < MAX_STATEMENTS:
            self.dropped.append(found)
            self.emit("dropped", asdict(found))


@dataclass(slots=True)
class _Costs:
    """Sums up what the calls of one conversation took; None once a server did not say."""

    began: float
    model: str = ""
    requests: int = 0
    tokens_in: int | None = 0
    tokens_out: int | None = 0
    cost: float | None = None

    def add(self, turn: ModelTurn, cost: float | None) -> None:
        self.model = turn.model
        self.requests += 1
        self.tokens_in = _sum(self.tokens_in, turn.tokens_in)
        self.tokens_out = _sum(self.tokens_out, turn.tokens_out)
        self.cost = self.cost if cost is None else (self.cost or 0.0) + cost

    def to_json(self) -> dict[str, object]:
        return {
            "prompt": QUESTION_PROMPT_VERSION,
            "model": self.model,
            "requests": self.requests,
            "seconds": round(time.monotonic() - self.began, 3),
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "cost": self.cost,
        }


def conversation_about(case: SummaryCase, question: str, named: Sequence[str] = ()) -> Conversation:
    """Begin a conversation about a case: what the model may be shown, and causes that a summary `named`."""
    return Conversation(system=SYSTEM, known=known_lines(case.shown, named), question=question)


def converse(
    model: Model,
    conversation: Conversation,
    toolbox: Toolbox,
    spending: Spending,
    project_id: str,
    listener: Listener = SILENT,
) -> dict[str, object]:
    """Hold a conversation to its end and return the answer as it is stored.

    It ends: calls of tools and of the model are counted, and the last call of the model has no tools.

    Raises:
        ModelUnavailable, ModelRefused: when the model does not answer.
        ConversationAbandoned: when the reader has left.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    costs = _Costs(began=time.monotonic())
    is_short = False
    while True:
        left = costs.began + MAX_SECONDS - time.monotonic()
        tools = TOOLS if conversation.may_call(left) and not is_short else ()
        answer = _Answer(texts=conversation.texts, emit=listener.emit)
        feed = _heard(listener, answer.feed if not tools else _ignore)
        spending.reserve_request()
        try:
            within_s = max(SHORTEST_S, left - LAST_SECONDS if tools else left)
            turn = model.converse(conversation, tools, within_s=within_s, on_text=feed)
        except ModelRefused:
            if not conversation.results or is_short:
                raise
            log.info("conversation shortened: the model's server refused its length")
            conversation, is_short = conversation.shortened(), True
            continue
        costs.add(turn, spending.count(project_id, _completion(conversation, turn)))
        if not (turn.calls and tools):
            if tools:
                answer.feed(turn.text)
            answer.end()
            return _stored(conversation, answer, costs)
        conversation = _called(conversation, turn, toolbox, listener)


def _called(
    conversation: Conversation, turn: ModelTurn, toolbox: Toolbox, listener: Listener
) -> Conversation:
    """Carry out the calls of one turn, as many as are left."""
    results: list[ToolResult] = []
    first = len(conversation.results) + 1
    for number, call in enumerate(turn.calls[: MAX_CALLS + 1 - first], start=first):
        if listener.has_left():
            raise ConversationAbandoned
        result = toolbox.run(call, conversation, number)
        results.append(result)
        listener.emit("tool", _shown(result))
    return conversation.followed(tuple(results))


def _heard(listener: Listener, feed: Callable[[str], None]) -> Callable[[str], None]:
    def on_text(piece: str) -> None:
        if listener.has_left():
            raise ConversationAbandoned
        feed(piece)

    return on_text


def _ignore(_: str) -> None:
    """Leave out words beside calls of tools: only the last turn is the answer."""


def _completion(conversation: Conversation, turn: ModelTurn) -> Completion:
    known = "".join((conversation.system, conversation.question, *conversation.texts.values()))
    said = turn.text + "".join(call.arguments for call in turn.calls)
    return Completion(
        text=turn.text,
        model=turn.model,
        tokens_in=turn.tokens_in,
        tokens_out=turn.tokens_out,
        estimated_in=estimated_tokens(known),
        estimated_out=estimated_tokens(said),
    )


def _stored(conversation: Conversation, answer: _Answer, costs: _Costs) -> dict[str, object]:
    return {
        "statements": [asdict(one) for one in answer.statements],
        "dropped": [asdict(one) for one in answer.dropped],
        "known": conversation.known,
        "tools": [_shown(result) for result in conversation.results],
        "note": "" if answer.statements else NOTHING_CITED,
        "run": costs.to_json(),
    }


def _shown(result: ToolResult) -> dict[str, object]:
    return {
        "ref": result.ref,
        "tool": result.call.name,
        "arguments": result.call.arguments,
        "result": result.text,
        "seconds": result.seconds,
    }


def _sum(total: int | None, more: int | None) -> int | None:
    return None if total is None or more is None else total + more
