"""Counts what calls of the model take, for each project and day, and says when a limit is reached."""

from typing import Final

from psycopg_pool import ConnectionPool

from signals.clients.llm import Completion, ModelUnavailable
from signals.clients.postgres import Connection, transaction
from signals.domain.access.limits import RateLimit
from signals.domain.summary.budget import ModelBudget
from signals.store.access import limits
from signals.store.summary import model_usage

RATE_LIMIT: Final = "model-requests"
"""Name of the bucket that all processes share."""


class Spending:
    """The books of all projects; safe to call from several threads.

    Calls that run at the same time may together go beyond a day's budget, by one call each.
    """

    def __init__(self, pool: ConnectionPool[Connection], budget: ModelBudget, rate: RateLimit) -> None:
        self._pool = pool
        self._rate = rate
        self.budget = budget

    def is_spent(self, project_id: str) -> bool:
        """Whether the project may ask no more today.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with transaction(self._pool) as connection:
            return self.is_spent_in(connection, project_id)

    def is_spent_in(self, connection: Connection, project_id: str) -> bool:
        """Whether the project may ask no more today, in the caller's transaction."""
        return self.budget.is_spent(model_usage.tokens_today(connection, project_id))

    def reserve_request(self) -> None:
        """Take one of the requests per minute that all processes share.

        Raises:
            ModelUnavailable: when none is left now.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with transaction(self._pool) as connection:
            if not limits.reserve_tokens(connection, RATE_LIMIT, self._rate.bucket):
                raise ModelUnavailable("SIGNALS_AI_REQUESTS_PER_MINUTE is reached; ask again in a minute")

    def count(self, project_id: str, said: Completion) -> float | None:
        """Count a call and return its cost, None without a price.

        Where the server does not count tokens, our own estimates stand in.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        cost = self.budget.cost(said.model, said.tokens_in, said.tokens_out)
        tokens_in = said.tokens_in if said.tokens_in is not None else said.estimated_in
        tokens_out = said.tokens_out if said.tokens_out is not None else said.estimated_out
        with transaction(self._pool) as connection:
            model_usage.add(
                connection, project_id, said.model, tokens_in=tokens_in, tokens_out=tokens_out, cost=cost
            )
        return cost
