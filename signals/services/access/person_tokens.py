"""Creates and revokes the tokens with which a person's programs use the API."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.access.api_keys import SECRET_BYTES, key_hash, person_token_text
from signals.services.access.provisioning import ProvisioningRefused, no_such_project
from signals.store.access import audit, people, person_tokens
from signals.store.access.person_tokens import NewToken, TokenRow

MAX_NAME: Final = 60  # characters; guess: what the token is for, in a line
MAX_TOKENS: Final = 50  # of a person; guess: one a machine and project
MAX_DAYS: Final = 365
DEFAULT_DAYS: Final = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A new token; `text` is shown once and stored nowhere."""

    token_id: UUID
    name: str
    project_id: str
    text: str = field(repr=False)


class PersonTokens:
    """The tokens of all people; safe to call from several threads."""

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def issue(self, user_id: UUID, project_id: str, *, name: str, days: int, actor: str) -> IssuedToken:
        """Create a token of a person for one project of theirs.

        Raises:
            ProvisioningRefused: for a name or days that cannot be, too many tokens, or a project that the
                person may not open.
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        if not (name.isprintable() and 0 < len(name) <= MAX_NAME and name == name.strip()):
            raise ProvisioningRefused(f"a token's name has 1 to {MAX_NAME} printable characters")
        if not 1 <= days <= MAX_DAYS:
            raise ProvisioningRefused(f"a token is valid for 1 to {MAX_DAYS} days")
        text, token_id = person_token_text(secrets.token_bytes(SECRET_BYTES)), uuid4()
        new = NewToken(
            token_id=token_id,
            user_id=user_id,
            project_id=project_id,
            name=name,
            token_hash=key_hash(text),
            lasts=timedelta(days=days),
        )
        with transaction(self._pool) as connection:
            if not people.may_open(connection, user_id, project_id):
                raise no_such_project(project_id)
            if person_tokens.count(connection, user_id) >= MAX_TOKENS:
                raise ProvisioningRefused(f"a person has at most {MAX_TOKENS} tokens: revoke one first")
            if not person_tokens.insert(connection, new):
                raise ProvisioningRefused(f"there is a token {name} for {project_id}: revoke it first")
            audit.record_in_project(
                connection,
                project_id,
                actor=actor,
                verb="token created",
                target=f"user:{user_id}",
                detail={"name": name, "days": days},
            )
        return IssuedToken(token_id=token_id, name=name, project_id=project_id, text=text)

    def issue_for(self, email: str, project_id: str, *, name: str, days: int, actor: str) -> IssuedToken:
        """Create a token of the person with this address; raises as `issue` does, and for no such person."""
        with transaction(self._pool) as connection:
            user_id = people.find_user(connection, email)
        if user_id is None:
            raise ProvisioningRefused(f"there is no person {email}: see `signals users list`")
        return self.issue(user_id, project_id, name=name, days=days, actor=actor)

    def of(self, user_id: UUID | None = None) -> Sequence[TokenRow]:
        """Return the valid tokens of one person, or of all.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with transaction(self._pool) as connection:
            return person_tokens.list_tokens(connection, user_id)

    def revoke(self, token_id: UUID, *, user_id: UUID | None = None, actor: str) -> bool:
        """End a token at once, of one person if named; False when there is no such one.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer.
        """
        with transaction(self._pool) as connection:
            ended = person_tokens.revoke(connection, token_id, user_id)
            if ended is None:
                return False
            audit.record_in_project(
                connection,
                ended.project_id,
                actor=actor,
                verb="token revoked",
                target=f"user:{ended.user_id}",
                detail={"name": ended.name},
            )
        return True
