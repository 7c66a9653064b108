"""Signs people in by the installation's OpenID Connect provider."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from psycopg_pool import ConnectionPool

from signals.clients.openid import OpenIdProvider, ProviderFlow, ProviderRefused
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, transaction
from signals.domain.access.people import TOKEN_BYTES, token_text
from signals.domain.access.provider_identity import Newcomers, ProviderIdentity, domain_fault
from signals.services.access.people import add_person
from signals.services.access.signing_in import open_session
from signals.store.access import audit, identities, people

AT_ONCE: Final = 4  # sign-ins a replica that wait for the provider: each holds a thread that readers need
ACTOR: Final = "provider"
"""Who adds people that come from the provider, as the audit names it."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProviderSignInRefused:
    """No session was made; `reason` is a sentence for the person."""

    reason: str


class ProviderSignIn:
    """The way to the provider and back; safe to call from several threads."""

    def __init__(
        self, pool: ConnectionPool[Connection], provider: OpenIdProvider, newcomers: Newcomers, *, name: str
    ) -> None:
        self._pool = pool
        self._provider = provider
        self._newcomers = newcomers
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self.name = name

    def start(self, callback: str) -> tuple[str, ProviderFlow]:
        """Return where to send the browser, and what it keeps until it comes back to `callback`.

        Raises:
            ProviderRefused: when the provider is set up wrongly, or too many people sign in at once.
            DependencyUnavailable: when the provider does not answer.
        """
        state, nonce, verifier = (token_text(secrets.token_bytes(TOKEN_BYTES)) for _ in range(3))
        flow = ProviderFlow(state=state, nonce=nonce, verifier=verifier)
        with self._place():
            return self._provider.address(flow, callback=callback), flow

    def finish(
        self, code: str, flow: ProviderFlow, *, issuer: str | None, callback: str, browser: str
    ) -> str | ProviderSignInRefused:
        """Use the provider's code up; return the token of a new session. `issuer` is who sent it, if said.

        Raises:
            ProviderRefused: when the answer proves nothing, or too many people sign in at once.
            DependencyUnavailable: when the provider or PostgreSQL does not answer.
        """
        if issuer is not None and not self._provider.is_issuer(issuer):
            raise ProviderRefused("another provider sent this answer")
        with self._place():
            identity = self._provider.identity(code, flow, callback=callback)
        found = self._known(identity) or self._newcomer(identity)
        if isinstance(found, ProviderSignInRefused):
            log.warning("sign-in refused", by="provider", reason="person")
            return found
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return open_session(connection, found, browser=browser, made_by="provider")

    def _known(self, identity: ProviderIdentity) -> UUID | ProviderSignInRefused | None:
        """Return whose identity it is, or whose address it is from now on; None for a newcomer."""
        fault = domain_fault(identity, self._newcomers.domains)
        if fault is not None:
            return ProviderSignInRefused(f"You cannot come in: {fault}.")
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            known = identities.find(connection, issuer=identity.issuer, subject=identity.subject)
            if known is None:
                known = identities.find_by_email(connection, identity.email, issuer=identity.issuer)
                if known is None:
                    return None
                if known.is_enabled and known.subject is None:
                    return _linked(connection, known.user_id, identity)
                if known.is_enabled:
                    return ProviderSignInRefused(
                        f"{identity.email} belongs to another account of the provider. Ask an admin."
                    )
        if not known.is_enabled:
            return ProviderSignInRefused("You were removed from this console. Ask an admin to add you again.")
        return known.user_id

    def _newcomer(self, identity: ProviderIdentity) -> UUID | ProviderSignInRefused:
        newcomers = self._newcomers
        if newcomers.role is None:
            return ProviderSignInRefused(
                f"No admin has added {identity.email} to this console. Ask one to do so under Settings."
            )
        user_id = add_person(
            self._pool,
            identity.email,
            org_id=newcomers.org_id,
            role=newcomers.role,
            name=identity.shown_name,
            actor=ACTOR,
        )
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            return _linked(connection, user_id, identity)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise ProviderRefused("other people are signing in at this moment; try again in a second")
        try:
            yield
        finally:
            self._places.release()


def _linked(
    connection: Connection, user_id: UUID, identity: ProviderIdentity
) -> UUID | ProviderSignInRefused:
    """Note that the identity is this person, in every organisation of theirs."""
    if not identities.insert(connection, issuer=identity.issuer, subject=identity.subject, user_id=user_id):
        return ProviderSignInRefused("Two people signed in as you at this moment. Try again.")
    for org_id in people.orgs_of(connection, user_id):
        audit.record(
            connection, org_id=org_id, actor=ACTOR, verb="provider account linked", target=f"user:{user_id}"
        )
    return user_id
