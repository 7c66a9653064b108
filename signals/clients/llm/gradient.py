"""The door to the model: one call of an OpenAI-compatible server, and what a failed one means.

It never retries by itself, and never logs prompts, answers or keys.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import httpx2  # openai's own transport: while a body streams in, openai lets its errors through
from openai import APIConnectionError, APIStatusError, APITimeoutError, OpenAI
from openai.types.chat import ChatCompletion
from pydantic import ValidationError

from signals.clients.llm import ModelRefused, ModelUnavailable
from signals.clients.llm.bounded_call import BoundedCall
from signals.domain.summary.prompt import Prompt
from signals.settings import ModelSettings

MAX_RESPONSE_BYTES: Final = 1_048_576  # guess: a hundred times a useful answer
MAX_ANSWER_TOKENS: Final = 1_500  # guess: three times a useful answer
TEMPERATURE: Final = 0.2  # guess: sober, yet a retry of a refused answer is not the same answer

# A later attempt may succeed: request timeout, conflict, too early, too many requests, any 5xx.
RETRIED_STATUSES: Final = frozenset({408, 409, 425, 429})

ADVICE: Final = {
    401: ("GRADIENT_API_KEY", "set it to a valid model access key"),
    403: ("GRADIENT_API_KEY", "set it to a key that may use this model"),
    404: ("GRADIENT_MODEL", "set it to a model that GRADIENT_BASE_URL serves, and check that URL"),
}


class GradientModel:
    """One model behind one base URL; may be called from several threads at once."""

    def __init__(self, client: OpenAI, name: str, *, timeout_s: float) -> None:
        self._name = name
        self._client = client
        self._timeout_s = timeout_s
        self._tls = httpx2.create_ssl_context()

    @property
    def name(self) -> str:
        """The model's id."""
        return self._name

    def complete(self, prompt: Prompt) -> str:
        """Ask once and return the answer's text, empty when the model said nothing.

        Raises:
            ModelUnavailable: retry later (408, 409, 425, 429, 5xx, timeout, connection, not the protocol).
            ModelRefused: never retry (any other 4xx, redirects).
        """
        with BoundedCall(deadline_s=self._timeout_s, tls=self._tls) as call:
            try:
                choices = ChatCompletion.model_validate_json(self._post(prompt, call)).choices
            except APIStatusError as error:
                raise _sorted(error) from error
            except (APIConnectionError, httpx2.HTTPError, ValidationError) as error:
                raise self._unavailable(error, call) from error
        return (choices[0].message.content or "") if choices else ""

    def _post(self, prompt: Prompt, call: BoundedCall) -> bytes:
        body = bytearray()
        with self._client.with_options(
            http_client=call.client
        ).chat.completions.with_streaming_response.create(
            model=self._name,
            messages=[
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
            temperature=TEMPERATURE,
            max_tokens=MAX_ANSWER_TOKENS,
        ) as response:
            for chunk in response.http_response.iter_raw():  # unpacked by nobody: a bomb stays small
                body += chunk
                if len(body) > MAX_RESPONSE_BYTES:
                    raise ModelUnavailable(f"its answer is larger than {MAX_RESPONSE_BYTES} bytes")
        return bytes(body)

    def _unavailable(self, error: Exception, call: BoundedCall) -> ModelUnavailable:
        if call.expired.is_set() or isinstance(error, (APITimeoutError, httpx2.TimeoutException)):
            return ModelUnavailable(f"no whole answer within {self._timeout_s:g} s")
        if isinstance(error, ValidationError):
            return ModelUnavailable("it answered 200 with something that is no chat completion")
        return ModelUnavailable("the connection failed")


@contextmanager
def open_gradient(settings: ModelSettings, key: str) -> Iterator[GradientModel]:
    """Open the configured model in this process."""
    with OpenAI(
        api_key=key,
        base_url=settings.gradient_base_url,
        timeout=settings.signals_ai_timeout_s,
        max_retries=0,
    ) as client:
        yield GradientModel(client, settings.gradient_model, timeout_s=settings.signals_ai_timeout_s)


def _sorted(error: APIStatusError) -> ModelUnavailable | ModelRefused:
    """Sort a status by duty. The body stays out of the text: servers quote keys and prompts in it."""
    status = error.status_code
    if status in RETRIED_STATUSES or status >= 500:
        return ModelUnavailable(f"it answered {status}", retry_after_of(error.response.headers))
    if 300 <= status < 400:
        refusal = ("GRADIENT_BASE_URL", "redirects are not followed; set it to the address behind them")
    else:
        refusal = ("GRADIENT_MODEL", "the server does not accept the request for this model")
    variable, advice = ADVICE.get(status, refusal)
    return ModelRefused(variable, f"the model's server answered {status}; {advice}")


def retry_after_of(headers: httpx2.Headers) -> timedelta | None:
    """Read `Retry-After` in seconds or as a date, which is compared with the server's own `Date`.

    Source: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:9]), 86_400))
    try:
        return max(timedelta(), parsedate_to_datetime(value) - parsedate_to_datetime(headers["date"]))
    except (ValueError, TypeError, KeyError, OverflowError):
        return None  # absent or unreadable: our own backoff decides
