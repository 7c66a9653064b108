"""A model's server that is broken or hostile: every call ends in time, in little memory, with a verdict."""

import gzip
import time
from datetime import timedelta

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signals.clients.http_answers import retry_after_of
from signals.clients.llm import Model, ModelRefused, ModelUnavailable, open_model
from signals.clients.llm.gradient import MAX_RESPONSE_BYTES
from signals.domain.operations.retry import RETRY_AFTER_CAP, JobFailure, decide
from signals.domain.summary.prompt import Prompt
from signals.settings import ModelSettings
from tests.support.model_server import ModelServer, Reply, completion, open_model_server

PROMPT = Prompt(system="answer", user="please")
PATIENCE_S = 1.0


def ask(settings: ModelSettings, *, timeout_s: float = PATIENCE_S) -> str:
    """Ask once, with little patience."""
    with open_model(settings.model_copy(update={"signals_ai_timeout_s": timeout_s})) as model:
        assert model is not None
        return model.complete(PROMPT).text


@pytest.mark.parametrize(
    "reply",
    [
        Reply(hangs=True),
        Reply(drips=True),
        Reply(drips_headers=True),
        Reply(drips_headers=True, status=500),
    ],
    ids=["hangs", "drips a body", "drips headers", "drips an error's headers"],
)
def test_call_to_a_dripping_server_ends_at_its_deadline(
    settings: ModelSettings, model_server: ModelServer, reply: Reply
) -> None:
    model_server.reply = reply
    started = time.monotonic()
    with pytest.raises(ModelUnavailable, match="no whole answer within 1 s"):
        ask(settings)
    assert time.monotonic() - started < 60 * PATIENCE_S  # the drops come as long as the server lives


@pytest.mark.parametrize("reply", [Reply(status=503, drips=True), Reply(status=503, floods=True)])
def test_body_of_an_error_is_not_read(
    settings: ModelSettings, model_server: ModelServer, reply: Reply
) -> None:
    model_server.reply = reply
    with pytest.raises(ModelUnavailable, match="it answered 503"):
        ask(settings, timeout_s=60)


def test_endless_answer_is_cut_at_its_bound(settings: ModelSettings, model_server: ModelServer) -> None:
    model_server.reply = Reply(floods=True)
    with pytest.raises(ModelUnavailable, match="larger than 1048576 bytes"):
        ask(settings, timeout_s=60)
    assert model_server.sent < 16 * MAX_RESPONSE_BYTES, "what lies in socket buffers, not more"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(cuts=True),
        Reply(body=b""),
        Reply(body=b"<html>welcome</html>"),
        Reply(body=b"null"),
        Reply(body=b"[" * 100_000),
        Reply(body=b'{"choices": 1}'),
        Reply(body=b'{"choices": [{"message": {"role": "assistant", "content": {"title": 1}}}]}'),
        Reply(body=completion("ok").replace(b'"ok"', b'"\\ud800"')),
        Reply(body=b"\xff\xfe"),
        Reply(body=gzip.compress(b" " * 50_000_000, mtime=0), headers={"Content-Encoding": "gzip"}),
    ],
    ids=lambda reply: "cut" if reply.cuts else str(reply.body[:24]),
)
def test_malformed_completion_is_retried(
    settings: ModelSettings, model_server: ModelServer, reply: Reply
) -> None:
    model_server.reply = reply
    with pytest.raises(ModelUnavailable, match=r"no chat completion|connection failed"):
        ask(settings, timeout_s=60)


def test_redirects_are_not_followed(settings: ModelSettings, model_server: ModelServer) -> None:
    with open_model_server() as elsewhere:
        location = f"{elsewhere.base_url}/chat/completions"
        model_server.reply = Reply(status=307, headers={"Location": location})
        with pytest.raises(ModelRefused, match="GRADIENT_BASE_URL"):
            ask(settings, timeout_s=60)
        assert elsewhere.calls == [], "the prompt and the key would have gone to another server"


def test_one_model_answers_again_after_a_call_that_timed_out(
    settings: ModelSettings, model_server: ModelServer
) -> None:
    model_server.script.extend([Reply(drips=True), Reply(content="fine")])
    with open_model(settings.model_copy(update={"signals_ai_timeout_s": 5})) as found:
        model: Model | None = found
        assert model is not None
        with pytest.raises(ModelUnavailable):
            model.complete(PROMPT)
        assert model.complete(PROMPT).text == "fine"


DATES = ["Wed, 04 Mar 2026 12:00:30 GMT", "Wed, 04 Mar 9999 12:00:30 GMT", "Wed, 04 Mar 2026 12:00:30 -0000"]


@settings(derandomize=True, deadline=None)
@given(
    value=st.one_of(
        st.sampled_from([*DATES, "-5", "1e9", "٣", "9" * 400, "Wed, 04 Mar 2026 12:00:00 +99999999999999"]),
        st.integers(0, 10**30).map(str),
        st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=40),
    ),
    date=st.sampled_from(["Wed, 04 Mar 2026 12:00:00 GMT", "yesterday", ""]),
)
def test_any_retry_after_becomes_a_bounded_wait(value: str, date: str) -> None:
    raw = [(b"retry-after", value.encode("latin-1", "replace")), (b"date", date.encode())]
    failure = JobFailure(reason="it answered 429", retry_after=retry_after_of(httpx2.Headers(raw)))
    wait = decide(failure, attempt_count=0, max_attempts=3, chance=0.5).delay
    assert wait is not None
    assert timedelta(seconds=2.5) <= wait <= RETRY_AFTER_CAP
