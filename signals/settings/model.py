"""Settings of the model that summarizes incidents."""

from pydantic import Field, SecretStr, field_validator

from signals.domain.summary.budget import ModelBudget, parse_prices
from signals.settings.base import EnvironmentSettings


class ModelSettings(EnvironmentSettings):
    """Which model summarizes incidents; without a key the built-in summarizer answers."""

    gradient_base_url: str = Field(
        default="https://inference.do-ai.run/v1", description="any server that speaks the OpenAI protocol"
    )
    gradient_api_key: SecretStr | None = Field(
        default=None, description="without it the built-in summarizer writes the summaries, and says so"
    )
    gradient_model: str = Field(
        default="llama3.3-70b-instruct",
        description="model to ask; of several, with commas, the next one when one is withdrawn (404)",
    )
    signals_ai_requests_per_minute: int = Field(
        default=60, ge=1, description="requests to the model, all ai-workers together"
    )
    signals_ai_concurrency: int = Field(default=4, ge=1, le=64, description="jobs at once per ai-worker")
    signals_ai_lease_s: float = Field(
        default=120, gt=0, description="seconds that a job is leased; a worker renews it at half-time"
    )
    signals_ai_timeout_s: float = Field(
        default=45, gt=0, description="seconds that one call may take; must stay below the lease"
    )
    signals_ai_redact: bool = Field(
        default=True,
        description="replace secrets and personal data by placeholders for the model",
    )
    signals_ai_tokens_per_day: int = Field(
        default=1_000_000,  # guess: some two hundred summaries
        ge=0,
        description="tokens that a project may use in a day (UTC), read and written; 0: any number",
    )
    signals_ai_prices: str = Field(
        default="",
        description="MODEL=IN/OUT: prices of a million tokens read and written, several with commas",
    )
    signals_ai_questions_per_day: int = Field(
        default=10, ge=0, description="questions about incidents that a project may ask in a day (UTC)"
    )
    signals_ai_investigates: bool = Field(
        default=True, description="let the model search events for the summary of a confirmed incident"
    )

    @field_validator("signals_ai_prices")
    @classmethod
    def _prices_can_be_read(cls, text: str) -> str:
        parse_prices(text)
        return text

    @property
    def budget(self) -> ModelBudget:
        """The limits of what the model may cost."""
        return ModelBudget(
            tokens_per_day=self.signals_ai_tokens_per_day, prices=parse_prices(self.signals_ai_prices)
        )

    @property
    def has_key(self) -> bool:
        """Whether a key is set; one of blanks alone is none."""
        return bool(self.gradient_api_key and self.gradient_api_key.get_secret_value().strip())

    @property
    def models(self) -> tuple[str, ...]:
        """The models' names, in order of preference."""
        return tuple(name for given in self.gradient_model.split(",") if (name := given.strip()))
