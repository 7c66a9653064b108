"""Signs people in by address and password, and sets passwords.

The hash is computed outside of every transaction: it takes longer than all statements together.
"""

import secrets
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, transaction
from signals.domain.access.passwords import (
    BROWSER_KNOWN_FOR,
    FAILURES,
    FRESH,
    account_bucket,
    address_bucket,
    browser_bucket,
    normal_password,
    password_fault,
    session_bucket,
)
from signals.domain.access.people import TOKEN_BYTES, is_email, token_hash, token_in, token_text
from signals.services.access.hashing import HashingBusy, PasswordHashing
from signals.services.access.provisioning import ProvisioningRefused
from signals.services.access.signing_in import SignInRefused, open_session
from signals.store.access import audit, limits, passwords, people, sessions
from signals.store.access.passwords import StoredPassword

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordAttempt:
    """A form of the sign-in page: `known` is what the browser kept of an earlier sign-in, None without one.

    `address` is where the request came from.
    """

    email: str
    password: str = field(repr=False)
    address: str
    browser: str
    known: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordAccepted:
    """The tokens of a new session, and of a browser that is known from now on."""

    session: str = field(repr=False)
    known: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordState:
    """The choices that the owner of a session has about their password."""

    has_one: bool
    needs_current: bool


class Passwords:
    """The passwords of all people; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool
        self._hashing = PasswordHashing()

    def sign_in(self, attempt: PasswordAttempt) -> PasswordAccepted | SignInRefused:
        """Return a new session for an address and its password.

        An unknown address takes as long as a wrong password, and gets the same answer. Failures count
        against the address of the request and against the account, known or not; those from a browser in
        which the person signed in before count against that browser alone, so that no flood locks them out.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        known = token_in(attempt.known or "") or token_text(secrets.token_bytes(TOKEN_BYTES))
        digest = token_hash(known)
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            stored = _find(connection, attempt.email, digest)
            buckets = _buckets(attempt, digest if stored and stored.is_known else None)
            if any(limits.available_tokens(connection, name, FAILURES) < 1 for name in buckets):
                log.warning("sign-in refused", limited=True)
                return SignInRefused("too_many")
        given = normal_password(attempt.password)
        try:
            is_right = self._hashing.matches(stored.hash if stored else None, given)
        except HashingBusy:
            return SignInRefused("busy")
        if stored is None or stored.hash is None or not is_right:
            return self._refuse(buckets)
        if not stored.is_known:
            known = token_text(
                secrets.token_bytes(TOKEN_BYTES)
            )  # never one that a stranger may have put there
        return self._accept(stored, stored.hash, given, attempt, known)

    def _refuse(self, buckets: list[str]) -> SignInRefused:
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            for name in buckets:
                limits.reserve_tokens(connection, name, FAILURES)
        log.warning("sign-in refused", limited=False)
        return SignInRefused("wrong")

    def _accept(
        self, stored: StoredPassword, found: str, given: str, attempt: PasswordAttempt, known: str
    ) -> PasswordAccepted | SignInRefused:
        newer = self._hashing.hashed(given) if self._hashing.is_outdated(found) else None
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            if not passwords.is_still(connection, stored.user_id, found):
                return SignInRefused("wrong")  # changed, or its owner removed, while it was compared
            if newer is not None:
                passwords.replace_hash(connection, stored.user_id, before=found, hashed=newer)
            session = open_session(connection, stored.user_id, browser=attempt.browser, made_by="password")
            passwords.know_browser(connection, token_hash=token_hash(known), user_id=stored.user_id)
        return PasswordAccepted(session=session, known=known)

    def state(self, session_id: UUID) -> PasswordState:
        """Say what the owner of a session may do about their password.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            stored = passwords.of_session(connection, session_id)
            is_fresh = passwords.is_fresh(connection, session_id, FRESH)
        return PasswordState(has_one=bool(stored and stored.hash), needs_current=not is_fresh)

    def change(self, session_id: UUID, *, current: str, new: str, browser: str) -> str:
        """Set the password of a session's owner and sign them out everywhere; return a new session.

        The password before is asked for, unless the session was made by a link or provider a moment ago.

        Raises:
            ProvisioningRefused: for a password that is refused, or a wrong one before; the text says why.
            HashingBusy: when too many passwords are checked at once.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            stored = passwords.of_session(connection, session_id)
            is_fresh = passwords.is_fresh(connection, session_id, FRESH)
        if stored is None:
            raise ProvisioningRefused("this session has ended: sign in again")
        if not is_fresh:
            self._check_current(stored, session_bucket(session_id), current)
        hashed = self._accepted(stored, new)
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            _store(connection, stored.user_id, hashed, actor=f"user:{stored.user_id}")
            return open_session(connection, stored.user_id, browser=browser, made_by="password")

    def _check_current(self, stored: StoredPassword, bucket: str, current: str) -> None:
        if stored.hash is None:
            raise ProvisioningRefused(
                "a first password is set within 15 minutes after a sign-in by link: ask for a new link"
            )
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            if limits.available_tokens(connection, bucket, FAILURES) < 1:
                raise ProvisioningRefused("too many wrong passwords: wait a few minutes, or use a new link")
        if not self._hashing.matches(stored.hash, normal_password(current)):
            with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
                limits.reserve_tokens(connection, bucket, FAILURES)
            raise ProvisioningRefused("the password until now is another one; without it, use a new link")

    def set_for(self, email: str, new: str, *, actor: str) -> None:
        """Set the password of a person by their address and sign them out everywhere: for operators.

        Raises:
            ProvisioningRefused: when there is no such person, or the password is refused.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        stored = self._named(email)
        hashed = self._accepted(stored, new)
        with transaction(self._pool) as connection:
            _store(connection, stored.user_id, hashed, actor=actor)

    def remove_for(self, email: str, *, actor: str) -> bool:
        """Remove a person's password and sign them out everywhere; False when they have none.

        Raises:
            ProvisioningRefused: when there is no such person.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        stored = self._named(email)
        with transaction(self._pool) as connection:
            if not passwords.remove(connection, stored.user_id):
                return False
            _sign_out(connection, stored.user_id, "password removed", actor=actor)
        return True

    def _named(self, email: str) -> StoredPassword:
        with transaction(self._pool) as connection:
            stored = _find(connection, email, "")
        if stored is None:
            raise ProvisioningRefused(f"there is no person {email}: see `signals users list`")
        return stored

    def _accepted(self, stored: StoredPassword, new: str) -> str:
        password = normal_password(new)
        if fault := password_fault(password, email=stored.email, name=stored.name):
            raise ProvisioningRefused(fault)
        return self._hashing.hashed(password)


def _find(connection: Connection, email: str, browser_hash: str) -> StoredPassword | None:
    if not is_email(email):
        return None
    return passwords.find(connection, email, browser_hash=browser_hash, known_for=BROWSER_KNOWN_FOR)


def _buckets(attempt: PasswordAttempt, known: str | None) -> list[str]:
    if known is not None:
        return [browser_bucket(known)]
    return sorted([address_bucket(attempt.address), account_bucket(attempt.email)])


def _store(connection: Connection, user_id: UUID, hashed: str, *, actor: str) -> None:
    passwords.set_hash(connection, user_id, hashed)
    _sign_out(connection, user_id, "password set", actor=actor)


def _sign_out(connection: Connection, user_id: UUID, verb: str, *, actor: str) -> None:
    """End sessions and links, forget browsers, and note why in every organisation of the person."""
    sessions.end_all(connection, user_id)
    passwords.forget_browsers(connection, user_id)
    for org_id in people.orgs_of(connection, user_id):
        audit.record(connection, org_id=org_id, actor=actor, verb=verb, target=f"user:{user_id}")
