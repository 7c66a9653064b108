"""Keeps the views of people: what they look at again and again."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid4

from psycopg_pool import ConnectionPool

from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading, transaction
from signals.store.access import views
from signals.store.access.views import NewView, SavedView, ViewPage

MOST_VIEWS: Final = 20  # of one page and person; guess: more need a list of their own
MAX_NAME: Final = 40  # characters; guess: a few words
MAX_QUERY: Final = 2_000  # characters; guess: what every browser and proxy takes as an address


class SavedViews:
    """The views of one person in one project; safe to call from several threads.

    Each method raises `DependencyUnavailable` when PostgreSQL does not answer.
    """

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def all(self, user_id: UUID, project_id: str, page: ViewPage) -> Sequence[SavedView]:
        """Return the person's views of a page, by name."""
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return views.list_views(connection, user_id=user_id, project_id=project_id, page=page)

    def save(self, user_id: UUID, project_id: str, page: ViewPage, *, name: str, query: str) -> str:
        """Store a query under a name; return an empty text, or what to change."""
        if not 0 < len(name) <= MAX_NAME or not name.isprintable():
            return f"A name has 1 to {MAX_NAME} printable characters."
        if len(query) > MAX_QUERY or not query.isprintable():
            return f"An address of at most {MAX_QUERY} characters can be saved."
        view = NewView(
            view_id=uuid4(), user_id=user_id, project_id=project_id, page=page, name=name, query=query
        )
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            is_saved = views.save(connection, view, most=MOST_VIEWS)
        return "" if is_saved else f"You have {MOST_VIEWS} views of this page; remove one first."

    def delete(self, user_id: UUID, project_id: str, view_id: UUID) -> bool:
        """Delete a view; False when the person has no such one."""
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return views.delete(connection, view_id, user_id=user_id, project_id=project_id)
