"""The audit: who changed which setting, and when. Rows are only added."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from signals.clients.postgres import Connection
from signals.domain.access.principal import Caller

RECORD: LiteralString = """
INSERT INTO people.audit (org_id, actor, verb, object, detail)
VALUES (%(org_id)s, %(actor)s, %(verb)s, %(object)s, %(detail)s)
"""


def record(
    connection: Connection,
    *,
    org_id: str,
    actor: str,
    verb: str,
    target: str,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Note a change in the transaction that makes it; `target` is like `incident:<id>`."""
    values = {
        "org_id": org_id,
        "actor": actor,
        "verb": verb,
        "object": target,
        "detail": Jsonb(dict(detail or {})),
    }
    connection.execute(RECORD, values)


def record_change(
    connection: Connection,
    caller: Caller,
    verb: str,
    target: str,
    *,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    """Note a caller's change of a setting in the transaction that makes it; values hold no secrets."""
    detail: dict[str, object] = {"project": caller.tenancy.project_id}
    if before is not None:
        detail["before"] = dict(before)
    if after is not None:
        detail["after"] = dict(after)
    record(
        connection,
        org_id=caller.tenancy.org_id,
        actor=caller.actor,
        verb=verb,
        target=target,
        detail=detail,
    )


RECORD_IN_PROJECT: LiteralString = """
INSERT INTO people.audit (org_id, actor, verb, object, detail)
SELECT org_id, %(actor)s, %(verb)s, %(object)s, %(detail)s || jsonb_build_object('project', id)
FROM projects WHERE id = %(project_id)s
"""


def record_in_project(
    connection: Connection,
    project_id: str,
    *,
    actor: str,
    verb: str,
    target: str,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Note a change in a project, in the organisation that it belongs to."""
    values = {
        "project_id": project_id,
        "actor": actor,
        "verb": verb,
        "object": target,
        "detail": Jsonb(dict(detail or {})),
    }
    connection.execute(RECORD_IN_PROJECT, values)


RECORD_ABOUT_KEY: LiteralString = """
INSERT INTO people.audit (org_id, actor, verb, object, detail)
SELECT p.org_id, %(actor)s, %(verb)s, 'key:' || k.id, %(detail)s || jsonb_build_object('project', p.id)
FROM project_api_keys k JOIN projects p ON p.id = k.project_id
WHERE k.id = %(key_id)s
"""


def record_about_key(
    connection: Connection,
    key_id: UUID,
    *,
    actor: str,
    verb: str,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Note a change of an API key, in the organisation that it belongs to."""
    values = {"key_id": key_id, "actor": actor, "verb": verb, "detail": Jsonb(dict(detail or {}))}
    connection.execute(RECORD_ABOUT_KEY, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One change; `person` is the actor's name, None when the actor is no person.

    `detail` has the values `before` and `after`, where there are any, and the project.
    """

    id: int
    at: datetime
    actor: str
    person: str | None
    verb: str
    target: str
    detail: dict[str, Any]


READ: LiteralString = """
SELECT a.id, a.at, a.actor, u.name AS person, a.verb, a.object AS target, a.detail
FROM people.audit a
LEFT JOIN people.users u ON a.actor = 'user:' || u.id
WHERE a.org_id = %(org_id)s AND (%(target)s::text IS NULL OR a.object = %(target)s)
  AND (%(project_id)s::text IS NULL OR coalesce(a.detail->>'project', %(project_id)s) = %(project_id)s)
  AND (%(before)s::bigint IS NULL OR a.id < %(before)s)
ORDER BY a.id DESC
LIMIT %(rows)s
"""


def read(
    connection: Connection,
    org_id: str,
    *,
    project_id: str | None = None,
    target: str | None = None,
    before: int | None = None,
    rows: int = 50,
) -> Sequence[AuditRow]:
    """Return the changes in an organisation, or of one object of it, newest first; older than `before`.

    With `project_id`, those of other projects are left out; those of people belong to every project.
    """
    values = {
        "org_id": org_id,
        "project_id": project_id,
        "target": target,
        "before": before,
        "rows": rows,
    }
    with connection.cursor(row_factory=class_row(AuditRow)) as cursor:
        return cursor.execute(READ, values).fetchall()
