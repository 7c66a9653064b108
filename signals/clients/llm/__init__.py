"""The door to the model: what may be asked of one, and what a failed call means."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from signals.domain.summary.conversation.turns import Conversation, ModelTurn, Tool
from signals.domain.summary.prompt import Prompt
from signals.settings import ModelSettings

TextCallback = Callable[[str], None]


class ModelUnavailable(Exception):  # noqa: N818  # reads as the state it names
    """The model did not answer this time: try again later, not before `retry_after`."""

    def __init__(self, reason: str, retry_after: timedelta | None = None) -> None:
        super().__init__(f"the model is unavailable: {reason}")
        self.reason = reason
        self.retry_after = retry_after


class ModelRefused(Exception):  # noqa: N818
    """The model will refuse every such call: `variable` must be set to something else first."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"check {variable}: {reason}")
        self.variable = variable
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer, empty when there is none, and the model's name (`ai_outputs.model`).

    Tokens are as the server counted them; None when it does not say.
    """

    text: str
    model: str
    tokens_in: int | None = None
    tokens_out: int | None = None
    estimated_in: int = 0
    estimated_out: int = 0
    """Our own estimates, for a budget when the server does not say."""


class Model(Protocol):
    """Answers prompts; may be called from several threads at once."""

    def complete(self, prompt: Prompt) -> Completion:
        """Ask once; a model that was withdrawn is passed over for the next one in `GRADIENT_MODEL`.

        Raises:
            ModelUnavailable: retry later.
            ModelRefused: never retry.
        """
        ...

    def converse(
        self, conversation: Conversation, tools: Sequence[Tool], *, within_s: float, on_text: TextCallback
    ) -> ModelTurn:
        """Ask for the next turn; `on_text` gets its text as it arrives. Without tools it can only answer.

        Raises:
            ModelUnavailable: retry later.
            ModelRefused: never retry.
        """
        ...


def list_models(settings: ModelSettings) -> list[str] | None:
    """Return the ids of the models that may be asked; None when no key is set.

    Raises:
        ModelUnavailable: try again later.
        ModelRefused: set its variable to something else first.
    """
    key = _key(settings)
    if not key:
        return None
    from signals.clients.llm.gradient import model_ids

    return model_ids(settings, key)


@contextmanager
def open_model(settings: ModelSettings) -> Iterator[Model | None]:
    """Open the configured model in this process; None when no key is set."""
    key = _key(settings)
    if not key:
        yield None
        return
    from signals.clients.llm.gradient import open_gradient  # 30 MB that only a configured model is worth

    with open_gradient(settings, key) as model:
        yield model


def _key(settings: ModelSettings) -> str:
    """Return the key; one from a file often ends in a newline, which no header can carry."""
    return settings.gradient_api_key.get_secret_value().strip() if settings.gradient_api_key else ""
