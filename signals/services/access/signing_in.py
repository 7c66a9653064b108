"""Signs people in and out, and says whose session a request carries.

No session is cached: a removed person, a changed role and an ended session count from the next request on.
"""

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID, uuid4

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, pipelined, transaction
from signals.domain.access.passwords import BROWSER_KNOWN_FOR, FAILURES, address_bucket
from signals.domain.access.people import (
    SESSION_IDLE,
    SESSION_LONGEST,
    TOKEN_BYTES,
    Person,
    ProjectAccess,
    Role,
    token_hash,
    token_in,
    token_text,
)
from signals.store.access import limits, sessions
from signals.store.access.sessions import SessionOrigin, SessionRow, SignedInBrowser

AT_ONCE: Final = 2  # attempts a replica: a flood of them leaves the other connections to readers
MAX_BROWSER: Final = 200  # characters of a User-Agent; that of Safari on a phone has 139, its name at the end

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SignInRefused:
    """No session was made; `busy` and `too_many` may succeed later. `wrong` is about address and password."""

    reason: Literal["unknown", "wrong", "too_many", "busy"]


class SigningIn:
    """Turns links into sessions and sessions into people; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool
        self._attempts = threading.BoundedSemaphore(AT_ONCE)

    def sign_in(self, text: str, *, address: str, browser: str) -> str | SignInRefused:
        """Use a sign-in link up and return the token of a new session.

        `address` is where the request came from. A valid link is taken even after failures from there,
        so that a flood cannot lock people out.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        if not self._attempts.acquire(blocking=False):
            return SignInRefused("busy")
        try:
            return self._sign_in(token_in(text), address, browser)
        finally:
            self._attempts.release()

    def _sign_in(self, link: str | None, address: str, browser: str) -> str | SignInRefused:
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            user_id = sessions.spend_link(connection, token_hash(link)) if link else None
            if user_id is None:
                room = limits.reserve_tokens(connection, address_bucket(address), FAILURES)
                log.warning("sign-in refused", limited=not room)
                return SignInRefused("unknown" if room else "too_many")
            return open_session(connection, user_id, browser=browser, made_by="link")

    def person(self, token: str | None, *, is_use: bool = True) -> Person | None:
        """Return whose session it is, None when it is none, has ended, or its owner was removed.

        A page that reads itself again is no use: it must not keep a session alive overnight.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        if not token or token_in(token) != token:
            return None
        with pipelined(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            rows = sessions.find_session(connection, token_hash(token), idle=SESSION_IDLE, is_use=is_use)
        return _person(rows) if rows else None

    def sign_out(self, person: Person, session_id: UUID | None = None) -> bool:
        """End a session of a person, the present one unless another is named; False for no such one.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return sessions.end_session(
                connection, user_id=person.user_id, session_id=session_id or person.session_id
            )

    def sign_out_everywhere(self, person: Person) -> int:
        """End every session and unused link of a person; return how many sessions there were.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return sessions.end_all(connection, person.user_id)

    def browsers(self, person: Person) -> Sequence[SignedInBrowser]:
        """Return where a person is signed in, last used first.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return sessions.list_sessions(connection, person.user_id, idle=SESSION_IDLE)


def open_session(connection: Connection, user_id: UUID, *, browser: str, made_by: SessionOrigin) -> str:
    """Store a session of a person who proved who they are; return its token. Removes what has run out."""
    token = token_text(secrets.token_bytes(TOKEN_BYTES))
    sessions.remove_expired(connection, idle=SESSION_IDLE, known_for=BROWSER_KNOWN_FOR)
    sessions.insert_session(
        connection,
        token_hash=token_hash(token),
        session_id=uuid4(),
        user_id=user_id,
        browser=_short(browser),
        made_by=made_by,
        lasts=SESSION_LONGEST,
    )
    log.info("signed in", user_id=str(user_id), by=made_by)
    return token


def _person(rows: Sequence[SessionRow]) -> Person:
    first = rows[0]
    return Person(
        user_id=first.user_id,
        name=first.name,
        email=first.email,
        session_id=first.session_id,
        projects=tuple(
            ProjectAccess(
                project_id=row.project_id,
                project_name=row.project_name or row.project_id,
                org_id=row.org_id,
                org_name=row.org_name or row.org_id,
                role=Role(row.role),
            )
            for row in rows
            if row.project_id and row.org_id and row.role
        ),
    )


def _short(browser: str) -> str:
    shown = "".join(character if character.isprintable() else " " for character in browser)
    return shown[:MAX_BROWSER]
