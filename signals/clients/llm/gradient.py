"""The door to the model: one call of an OpenAI-compatible server, and what a failed one means.

It never retries by itself, and never logs prompts, answers or keys.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

import httpx2  # openai's own transport: while a body streams in, openai lets its errors through
import structlog
from openai import APIConnectionError, APIStatusError, APITimeoutError, OpenAI
from openai.types.chat import ChatCompletion
from pydantic import ValidationError

from signals.clients.http_answers import may_succeed_later, retry_after_of
from signals.clients.llm import Completion, ModelRefused, ModelUnavailable
from signals.clients.llm.bounded_call import BoundedCall
from signals.domain.summary.prompt import Prompt
from signals.errors import SettingsError
from signals.settings import ModelSettings

MAX_RESPONSE_BYTES: Final = 1_048_576  # guess: a hundred times a useful answer
MAX_ANSWER_TOKENS: Final = 1_500  # guess: three times a useful answer
LIST_TIMEOUT_S: Final = 10.0  # guess: a list is made without a model
TEMPERATURE: Final = 0.2  # guess: sober, yet a retry of a refused answer is not the same answer

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

    def complete(self, prompt: Prompt) -> Completion:
        """Ask the first model that is served. All calls together end within one call's time.

        Raises:
            ModelUnavailable: retry later (408, 409, 425, 429, 5xx, timeout, connection, not the protocol).
            ModelRefused: never retry (any other 4xx, redirects); 404 only when no model is left.
        """
        with BoundedCall(deadline_s=self._timeout_s, tls=self._tls) as call:
            *preferred, last = self._names
            for name in preferred:
                try:
                    return self._ask(name, prompt, call)
                except _WithdrawnError:
                    log.warning("model not served, asking the next", model=name)
            return self._ask(last, prompt, call)

    def _ask(self, name: str, prompt: Prompt, call: BoundedCall) -> Completion:
        try:
            answer = ChatCompletion.model_validate_json(self._post(name, prompt, call))
        except APIStatusError as error:
            raise _sorted(error.status_code, error.response.headers) from error
        except (APIConnectionError, httpx2.HTTPError, ValidationError) as error:
            raise self._unavailable(error, call) from error
        choices, usage = answer.choices, answer.usage
        return Completion(
            text=(choices[0].message.content or "") if choices else "",
            model=name,
            tokens_in=usage.prompt_tokens if usage else None,
            tokens_out=usage.completion_tokens if usage else None,
        )

    def _post(self, name: str, prompt: Prompt, call: BoundedCall) -> bytes:
        with self._client.with_options(
            http_client=call.client
        ).chat.completions.with_streaming_response.create(
            model=name,
            messages=[
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
            temperature=TEMPERATURE,
            max_tokens=MAX_ANSWER_TOKENS,
        ) as response:
            return _bounded(response.http_response)

    def _unavailable(self, error: Exception, call: BoundedCall) -> ModelUnavailable:
        if call.expired.is_set() or isinstance(error, (APITimeoutError, httpx2.TimeoutException)):
            return ModelUnavailable(f"no whole answer within {self._timeout_s:g} s")
        if isinstance(error, ValidationError):
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
    raise _sorted(response.status_code, response.headers)


def _ids(body: bytes) -> list[str]:
    try:
        return sorted(str(row["id"]) for row in json.loads(body)["data"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelUnavailable("its list of models cannot be read") from error


def _bounded(response: httpx2.Response) -> bytes:
    """Read a body without decompression, so that a bomb stays small."""
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise ModelUnavailable(f"its answer is larger than {MAX_RESPONSE_BYTES} bytes")
    return bytes(body)


def _sorted(status: int, headers: httpx2.Headers) -> ModelUnavailable | ModelRefused:
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
