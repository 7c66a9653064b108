"""The turns of a conversation: what was asked, which tools were called, and when no more may be."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

from signals.domain.summary.budget import estimated_tokens

MAX_CALLS: Final = 6  # of tools; more are loops more often than insight
MAX_ROUNDS: Final = 6  # calls of the model; the last one has no tools
MAX_RESULT_TOKENS: Final = 2_000
SHORT_RESULT_TOKENS: Final = 500  # when the model's server finds the conversation too long
MAX_SECONDS: Final = 60.0  # the whole conversation
LAST_SECONDS: Final = 20.0  # left for the last call; guess: an answer of some lines takes a few seconds
MAX_ARGUMENT_CHARS: Final = 2_000
CUT: Final = "(cut)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool as the model knows it; `parameters` is a JSON Schema."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """The wish of a model to call a tool; `arguments` is JSON, or is meant to be."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """The numbered result of a call: statements cite `ref`."""

    ref: str
    call: ToolCall
    text: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Everything that the model is sent: rules, what is known (T0), the question, calls with results."""

    system: str
    known: str
    question: str
    rounds: tuple[tuple[ToolResult, ...], ...] = ()

    @property
    def results(self) -> tuple[ToolResult, ...]:
        """All results, in the order of their numbers."""
        return tuple(result for one in self.rounds for result in one)

    @property
    def texts(self) -> dict[str, str]:
        """The texts that may be cited, by reference."""
        return {"T0": self.known} | {result.ref: result.text for result in self.results}

    def may_call(self, seconds_left: float) -> bool:
        """Whether the next call of the model may have tools: always the last one has none."""
        return (
            len(self.rounds) < MAX_ROUNDS - 1
            and len(self.results) < MAX_CALLS
            and seconds_left > LAST_SECONDS
        )

    def repeated(self, call: ToolCall) -> ToolResult | None:
        """Return the result of an earlier call of the same kind."""
        same = (call.name, call.arguments)
        return next((one for one in self.results if (one.call.name, one.call.arguments) == same), None)

    def followed(self, results: tuple[ToolResult, ...]) -> Self:
        """Return the conversation with one more round."""
        return replace(self, rounds=(*self.rounds, results))

    def shortened(self) -> Self:
        """Return the conversation with each result cut short."""
        rounds = tuple(
            tuple(replace(one, text=cut(one.text, SHORT_RESULT_TOKENS)) for one in row) for row in self.rounds
        )
        return replace(self, rounds=rounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTurn:
    """One answer of the model: text, or calls of tools. Tokens are None when the server does not say."""

    text: str
    calls: tuple[ToolCall, ...]
    model: str
    tokens_in: int | None = None
    tokens_out: int | None = None


def cut(text: str, most_tokens: int) -> str:
    """Return whole lines of a text up to so many tokens, by our own estimate; what is cut is said."""
    left, kept = most_tokens, []
    for line in text.splitlines():
        left -= estimated_tokens(line) + 1
        if left < 0:
            kept.append(CUT)
            break
        kept.append(line)
    return "\n".join(kept)
