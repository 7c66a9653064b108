"""The wire of a conversation with tools: messages of the OpenAI protocol, whole and streamed answers.

Source: https://platform.openai.com/docs/api-reference/chat
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from signals.clients.llm import TextCallback
from signals.domain.summary.conversation.asking import opening, result_message
from signals.domain.summary.conversation.turns import (
    MAX_ARGUMENT_CHARS,
    MAX_CALLS,
    Conversation,
    ModelTurn,
    Tool,
    ToolCall,
)

DONE: Final = "[DONE]"
_TOOL_NAME_CHARS: Final = 64

Json = dict[str, Any]


class UnreadableStreamError(ValueError):
    """An answer that is not of this protocol."""


def messages_of(conversation: Conversation) -> list[Json]:
    """Return the messages of a conversation so far."""
    messages: list[Json] = [
        {"role": "system", "content": conversation.system},
        {"role": "user", "content": opening(conversation)},
    ]
    for results in conversation.rounds:
        calls = [
            {
                "id": one.call.call_id,
                "type": "function",
                "function": {"name": one.call.name, "arguments": one.call.arguments},
            }
            for one in results
        ]
        messages.append({"role": "assistant", "content": None, "tool_calls": calls})
        messages += [
            {"role": "tool", "tool_call_id": one.call.call_id, "content": result_message(one.ref, one.text)}
            for one in results
        ]
    return messages


def tools_of(tools: Sequence[Tool]) -> list[Json]:
    """Return tools as the protocol describes functions."""
    return [
        {
            "type": "function",
            "function": {
                "name": one.name,
                "description": one.description,
                "parameters": dict(one.parameters),
            },
        }
        for one in tools
    ]


def events_of(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the data of each server-sent event, until the stream ends or says that it is done."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                data = line[5:].strip().decode("utf-8", "replace")
                if data == DONE:
                    return
                yield data


def turn_of_stream(name: str, events: Iterable[str], on_text: TextCallback) -> ModelTurn:
    """Put a streamed answer together; `on_text` gets its text as it arrives.

    Raises:
        UnreadableStreamError: when an event is not of this protocol.
    """
    text: list[str] = []
    calls: dict[int, Json] = {}
    usage: Json = {}
    for data in events:
        chunk = _object(data)
        usage = chunk.get("usage") or usage
        for choice in _list(chunk.get("choices"))[:1]:
            delta = choice.get("delta") or {}
            piece = delta.get("content")
            if isinstance(piece, str) and piece:
                text.append(piece)
                on_text(piece)
            for part in _list(delta.get("tool_calls")):
                _collect(calls, part)
    return _turn(name, "".join(text), [calls[index] for index in sorted(calls)], usage)


def turn_of_answer(name: str, body: bytes, on_text: TextCallback) -> ModelTurn:
    """Read a whole answer, of a server that does not stream.

    Raises:
        UnreadableStreamError: when it is not of this protocol.
    """
    answer = _object(body.decode("utf-8", "replace"))
    choices = _list(answer.get("choices"))
    if not choices:
        raise UnreadableStreamError("it has no choices")
    message = choices[0].get("message") or {}
    content = message.get("content")
    text = content if isinstance(content, str) else ""
    if text:
        on_text(text)
    found: dict[int, Json] = {}
    for index, part in enumerate(_list(message.get("tool_calls"))):
        _collect(found, {"index": index, **part})
    return _turn(name, text, list(found.values()), answer.get("usage") or {})


def _collect(calls: dict[int, Json], part: Json) -> None:
    """Add a piece of a call; of more calls than are allowed nothing is kept."""
    index = part.get("index", 0)
    function = part.get("function") or {}
    if not isinstance(index, int) or not isinstance(function, dict) or not 0 <= index < MAX_CALLS:
        return
    call = calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
    call["id"] = call["id"] or str(part.get("id") or "")[:_TOOL_NAME_CHARS]
    call["name"] = (call["name"] + str(function.get("name") or ""))[:_TOOL_NAME_CHARS]
    call["arguments"] = (call["arguments"] + str(function.get("arguments") or ""))[: MAX_ARGUMENT_CHARS + 1]


def _turn(name: str, text: str, calls: Sequence[Json], usage: Json) -> ModelTurn:
    return ModelTurn(
        text=text,
        calls=tuple(
            ToolCall(call_id=call["id"] or f"call-{number}", name=call["name"], arguments=call["arguments"])
            for number, call in enumerate(calls)
        ),
        model=name,
        tokens_in=_count(usage.get("prompt_tokens")),
        tokens_out=_count(usage.get("completion_tokens")),
    )


def _object(text: str) -> Json:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UnreadableStreamError("it is not JSON") from error
    if not isinstance(found, dict):
        raise UnreadableStreamError("it is no JSON object")
    return found


def _list(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None
