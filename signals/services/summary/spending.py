"""Counts what calls of the model take, for each project and day, and says when a day's budget is used."""

from psycopg_pool import ConnectionPool

from signals.clients.llm import Completion
from signals.clients.postgres import Connection, transaction
from signals.domain.summary.budget import ModelBudget
from signals.store.summary import model_usage


class Spending:
    """The books of all projects; safe to call from several threads.

    Calls that run at the same time may together go beyond a day's budget, by one call each.
    """

    def __init__(self, pool: ConnectionPool[Connection], budget: ModelBudget) -> None:
        self._pool = pool
        self.budget = budget

    def is_spent(self, project_id: str) -> bool:
        """Whether the project may ask no more today.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with transaction(self._pool) as connection:
            return self.budget.is_spent(model_usage.tokens_today(connection, project_id))

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
