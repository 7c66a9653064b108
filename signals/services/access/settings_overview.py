"""Reads the settings of a project and its organisation: keys, members, and who changed what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg_pool import ConnectionPool

from shared_types import Tenancy
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading
from signals.domain.access.people import SESSION_IDLE
from signals.store.access import api_keys, audit, people, sessions
from signals.store.access.api_keys import KeyRow
from signals.store.access.audit import AuditRow
from signals.store.access.people import OrgMember
from signals.store.access.sessions import MemberWaysIn


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsOverview:
    """The settings as one page shows them; `ways_in` by member, and `changes` newest first."""

    keys: Sequence[KeyRow]
    members: Sequence[OrgMember]
    ways_in: Mapping[UUID, MemberWaysIn]
    changes: Sequence[AuditRow]


def read_settings(
    pool: ConnectionPool[Connection], tenancy: Tenancy, *, is_admin: bool, before: int | None, changes: int
) -> SettingsOverview:
    """Return the settings; sessions, links and the `changes` older than `before` for an admin alone.

    Raises:
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    org_id = tenancy.org_id
    with reading(pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
        ways_in = sessions.list_ways_in(connection, org_id, idle=SESSION_IDLE) if is_admin else ()
        return SettingsOverview(
            keys=api_keys.list_keys(connection, tenancy.project_id),
            members=people.list_members(connection, org_id),
            ways_in={one.user_id: one for one in ways_in},
            changes=audit.read(connection, org_id, before=before, rows=changes) if is_admin else (),
        )


def find_valid_key(pool: ConnectionPool[Connection], project_id: str, text: str) -> UUID | None:
    """Return the id that the text writes when it is of a valid key of the project.

    Raises:
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    with reading(pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
        keys = api_keys.list_keys(connection, project_id)
    return next((key.key_id for key in keys if str(key.key_id) == text and key.revoked_at is None), None)
