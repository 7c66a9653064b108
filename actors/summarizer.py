"""The ai-worker as a Ray actor."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from actors.consumers import Consumer
from actors.wakeups import listening
from signals.clients.llm import open_model
from signals.clients.opensearch.comparison import compare
from signals.clients.opensearch.connection import open_client
from signals.clients.opensearch.index import labels_since
from signals.clients.opensearch.refresh import SharedRefresh
from signals.clients.opensearch.search import EventSearch
from signals.services.summary import ComparisonSource, IncidentSummarizer, Policy
from signals.services.summary.toolbox import ToolSources
from signals.settings import ModelSettings, OpenSearchSettings

NAME: Final = "signals-ai-worker"


class Summarizer(Consumer):
    """Turns queued jobs into summaries; woken by notices in Kafka, and polling PostgreSQL anyway."""

    def __init__(self, name: str) -> None:
        settings = ModelSettings.from_env()
        super().__init__(name, "ai-worker", connections=settings.signals_ai_concurrency + 3)
        self.start(self._session)

    @contextmanager
    def _session(self, stopping: threading.Event) -> Iterator[IncidentSummarizer]:
        settings = ModelSettings.from_env()
        with (
            open_model(settings) as model,
            open_client(OpenSearchSettings.from_env(), connections=settings.signals_ai_concurrency) as search,
        ):
            comparison = ComparisonSource(
                compare=partial(compare, search),
                labels_since=partial(labels_since, search),
                refresh=SharedRefresh(search),
            )
            tools = ToolSources(pool=self.pool, events=EventSearch(search), comparison=comparison)
            with (
                IncidentSummarizer(
                    self.pool,
                    model,
                    Policy.of(settings),
                    chance=random.random,
                    comparison=comparison,
                    tools=tools,
                ) as summarizer,
                listening(summarizer.wake, name=NAME, stopping=stopping),
            ):
                yield summarizer
