"""A worker in a process of its own, to be stopped and killed: runs one job and prints how it ended."""

import random

from signals.clients.llm import open_model
from signals.clients.postgres import open_pool
from signals.services.summary import IncidentSummarizer, Policy
from signals.settings import ModelSettings, PostgresSettings


def main() -> None:
    """Run one job."""
    settings = ModelSettings.from_env()
    with (
        open_pool(PostgresSettings.from_env(), size=2) as pool,
        open_model(settings) as model,
        IncidentSummarizer(pool, model, Policy.of(settings), chance=random.Random(1).random) as summarizer,
    ):
        outcome = summarizer.run_one()
        print(outcome.state if outcome else "none", flush=True)


if __name__ == "__main__":
    main()
