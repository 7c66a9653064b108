"""The model's server, and workers that ask it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest
from pydantic import SecretStr

from signals.clients.llm import open_model
from signals.services.summary import IncidentSummarizer, Policy
from signals.settings import ModelSettings
from tests.integration.summary.cases import Pool
from tests.support.model_server import ModelServer, open_model_server

KEY = "sk-a-secret-that-no-log-may-show"


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """A model's server on a free port."""
    with open_model_server() as server:
        yield server


@pytest.fixture
def settings(model_server: ModelServer) -> ModelSettings:
    """Settings that point to it."""
    return ModelSettings(
        gradient_base_url=model_server.base_url,
        gradient_api_key=SecretStr(KEY),
        gradient_model="test-model",
        signals_ai_requests_per_minute=6_000,
        signals_ai_timeout_s=10,
    )


class MakeWorker(Protocol):
    """Opens a worker that lives until the test's end."""

    def __call__(self, settings: ModelSettings) -> IncidentSummarizer: ...


@pytest.fixture
def make_worker(pool: Pool) -> Iterator[MakeWorker]:
    """Workers whose jitter always waits longest."""
    longest: Callable[[], float] = lambda: 0.0  # noqa: E731  # a constant chance, not a function of its own
    with ExitStack() as stack:

        def make(settings: ModelSettings) -> IncidentSummarizer:
            model = stack.enter_context(open_model(settings))
            return stack.enter_context(IncidentSummarizer(pool, model, Policy.of(settings), chance=longest))

        yield make


@pytest.fixture
def worker(make_worker: MakeWorker, settings: ModelSettings) -> IncidentSummarizer:
    """One worker."""
    return make_worker(settings)
