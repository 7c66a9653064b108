"""The door to the model: one call of an OpenAI-compatible server, and what a failed one means.

It never retries by itself, and never logs prompts, answers or keys.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final, TypeVar, cast

import httpx2  # openai's own transport: while a body streams in, openai lets its errors through
import structlog
from openai import APIConnectionError, APIStatusError, APITimeoutError, OpenAI
from openai.types.chat import ChatCompletion
from pydantic import ValidationError

from signals.clients.http_answers import may_succeed_later, retry_after_of
from signals.clients.llm import Completion, ModelRefused, ModelUnavailable, TextCallback
from signals.clients.llm.bounded_call import BoundedCall
from signals.clients.llm.protocol import (
    UnreadableStreamError,
    events_of,
    messages_of,
    tools_of,
    turn_of_answer,
    turn_of_stream,
)
from signals.domain.summary.budget import estimated_tokens
from signals.domain.summary.conversation.turns import Conversation, ModelTurn, Tool
from signals.domain.summary.prompt import Prompt
from signals.errors import SettingsError
from signals.settings import ModelSettings

MAX_RESPONSE_BYTES: Final = 1_048_576  # guess: a hundred times a useful answer
MAX_ANSWER_TOKENS: Final = 1_500  # guess: three times a useful answer
SCHEMA_REFUSALS: Final = (400, 422)  # of servers that know no `response_format`, or not this one
LIST_TIMEOUT_S: Final = 10.0  # guess: a list is made without a model
TEMPERATURE: Final = 0.2  # guess: sober, yet a retry of a refused answer is not the same answer

Result = TypeVar("Result")

log = structlog.get_logger(__name__)

ADVICE: Final = {
    401: ("GRADIENT_API_KEY", "set it to a valid model access key"),
    403: ("GRADIENT_API_KEY", "set it to a key that may use this model"),
    404: ("GRADIENT_MODEL", "set it to a model that GRADIENT_BASE_URL serves, and check that URL"),
}


class GradientModel:
    """Models behind one base URL, in order of preference; may be called from several threads at once."""

    def __init__(self, client: OpenAI, names: Sequence[str], *, timeout_s: float) -> None:
        self._names = names
        self._client = client
        self._timeout_s = timeout_s
        self._tls = httpx2.create_ssl_context()
        self._without_schema: set[str] = set()

    def complete(self, prompt: Prompt) -> Completion:
        """Ask the first model that is served. All calls together end within one call's time.

        Raises:
            ModelUnavailable: retry later (408, 409, 425, 429, 5xx, timeout, connection, not the protocol).
            ModelRefused: never retry (any other 4xx, redirects); 404 only when no model is left.
        """
        messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]

        def ask(name: str, call: BoundedCall) -> Completion:
            answer = ChatCompletion.model_validate_json(self._completed(name, messages, prompt.schema, call))
            text = (answer.choices[0].message.content or "") if answer.choices else ""
            return Completion(
                text=text,
                model=name,
                tokens_in=answer.usage.prompt_tokens if answer.usage else None,
                tokens_out=answer.usage.completion_tokens if answer.usage else None,
                estimated_in=estimated_tokens(prompt.system) + estimated_tokens(prompt.user),
                estimated_out=estimated_tokens(text),
            )

        return self._of_first_served(ask, self._timeout_s)

    def converse(
        self, conversation: Conversation, tools: Sequence[Tool], *, within_s: float, on_text: TextCallback
    ) -> ModelTurn:
        """Ask the first model that is served for the next turn, streamed where its server streams.

        Raises:
            ModelUnavailable, ModelRefused: as `complete` does.
        """
        options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
        if tools:
            options["tools"] = tools_of(tools)
        messages = messages_of(conversation)

        def ask(name: str, call: BoundedCall) -> ModelTurn:
            with self._posted(name, messages, call, options) as response:
                if "event-stream" in response.headers.get("content-type", ""):
                    return turn_of_stream(name, events_of(_pieces(response)), on_text)
                return turn_of_answer(name, _bounded(response), on_text)

        return self._of_first_served(ask, min(within_s, self._timeout_s))

    def _of_first_served(self, ask: Callable[[str, BoundedCall], Result], within_s: float) -> Result:
        with BoundedCall(deadline_s=within_s, tls=self._tls) as call:
            *preferred, last = self._names
            for name in preferred:
                try:
                    return self._sorted(ask, name, call, within_s)
                except _WithdrawnError:
                    log.warning("model not served, asking the next", model=name)
            return self._sorted(ask, last, call, within_s)

    def _sorted(
        self, ask: Callable[[str, BoundedCall], Result], name: str, call: BoundedCall, within_s: float
    ) -> Result:
        """Ask, and sort what went wrong by duty."""
        try:
            return ask(name, call)
        except APIStatusError as error:
            raise _refusal(error.status_code, error.response.headers) from error
        except (APIConnectionError, httpx2.HTTPError, ValidationError, UnreadableStreamError) as error:
            raise _unavailable(error, call, within_s) from error

    def _completed(
        self,
        name: str,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, object] | None,
        call: BoundedCall,
    ) -> bytes:
        """Ask with the strict schema, and without it where the server refuses one: that is remembered."""
        if schema is not None and name not in self._without_schema:
            form = {"name": "answer", "strict": True, "schema": dict(schema)}
            options = {"response_format": {"type": "json_schema", "json_schema": form}}
            try:
                with self._posted(name, messages, call, options) as response:
                    return _bounded(response)
            except APIStatusError as error:
                if error.status_code not in SCHEMA_REFUSALS:
                    raise
        with self._posted(name, messages, call, {}) as response:
            body = _bounded(response)
        if schema is not None and name not in self._without_schema:
            log.info("model takes no schema", model=name)
            self._without_schema.add(name)
        return body

    @contextmanager
    def _posted(
        self, name: str, messages: Sequence[Mapping[str, Any]], call: BoundedCall, options: Mapping[str, Any]
    ) -> Iterator[httpx2.Response]:
        with self._client.with_options(
            http_client=call.client
        ).chat.completions.with_streaming_response.create(
            model=name,
            messages=cast(Any, messages),
            temperature=TEMPERATURE,
            max_tokens=MAX_ANSWER_TOKENS,
            **options,
        ) as response:
            yield response.http_response


def _unavailable(error: Exception, call: BoundedCall, within_s: float) -> ModelUnavailable:
    if call.expired.is_set() or isinstance(error, (APITimeoutError, httpx2.TimeoutException)):
        return ModelUnavailable(f"no whole answer within {within_s:g} s")
    if isinstance(error, (ValidationError, UnreadableStreamError)):
        return ModelUnavailable("it answered 200 with something that is no chat completion")
    return ModelUnavailable("the connection failed")


class _WithdrawnError(ModelRefused):
    """The server does not serve the model that it was asked for."""


@contextmanager
def open_gradient(settings: ModelSettings, key: str) -> Iterator[GradientModel]:
    """Open the configured models in this process.

    Raises:
        SettingsError: when none is named.
    """
    if not settings.models:
        raise SettingsError("GRADIENT_MODEL: name a model, or several with commas")
    with OpenAI(
        api_key=key,
        base_url=settings.gradient_base_url,
        timeout=settings.signals_ai_timeout_s,
        max_retries=0,
    ) as client:
        yield GradientModel(client, settings.models, timeout_s=settings.signals_ai_timeout_s)


def model_ids(settings: ModelSettings, key: str) -> list[str]:
    """Return the ids of the models that the server offers to this key.

    Raises:
        ModelUnavailable: when it does not answer well.
        ModelRefused: when the key is not accepted, or it lists no models.
    """
    url = f"{settings.gradient_base_url.rstrip('/')}/models"
    deadline_s = min(settings.signals_ai_timeout_s, LIST_TIMEOUT_S)
    with BoundedCall(deadline_s=deadline_s, tls=httpx2.create_ssl_context()) as call:
        try:
            with call.client.stream("GET", url, headers={"Authorization": f"Bearer {key}"}) as response:
                if response.is_success:
                    return _ids(_bounded(response))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ModelUnavailable("the connection failed") from error
    if response.status_code == HTTPStatus.NOT_FOUND:
        where = "set it to the address of an OpenAI-compatible server, /v1 included"
        raise ModelRefused("GRADIENT_BASE_URL", f"it lists no models there (404); {where}")
    raise _refusal(response.status_code, response.headers)


def _ids(body: bytes) -> list[str]:
    try:
        return sorted(str(row["id"]) for row in json.loads(body)["data"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelUnavailable("its list of models cannot be read") from error


def _bounded(response: httpx2.Response) -> bytes:
    return b"".join(_pieces(response))


def _pieces(response: httpx2.Response) -> Iterator[bytes]:
    """Read a body without decompression, so that a bomb stays small."""
    size = 0
    for chunk in response.iter_raw():
        size += len(chunk)
        if size > MAX_RESPONSE_BYTES:
            raise ModelUnavailable(f"its answer is larger than {MAX_RESPONSE_BYTES} bytes")
        yield chunk


def _refusal(status: int, headers: httpx2.Headers) -> ModelUnavailable | ModelRefused:
    """Sort a status by duty. The body stays out of the text: servers quote keys and prompts in it."""
    if may_succeed_later(status):
        return ModelUnavailable(f"it answered {status}", retry_after_of(headers))
    if 300 <= status < 400:
        refusal = ("GRADIENT_BASE_URL", "redirects are not followed; set it to the address behind them")
    else:
        refusal = ("GRADIENT_MODEL", "the server does not accept the request for this model")
    variable, advice = ADVICE.get(status, refusal)
    kind = _WithdrawnError if status == HTTPStatus.NOT_FOUND else ModelRefused
    return kind(variable, f"the model's server answered {status}; {advice}")
