"""Rules of projects, with every version that was ever in force."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, LiteralString

import msgspec
import orjson
from psycopg.rows import class_row

from signals.clients.postgres import Connection
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.detection.rule_types import Rule

RuleOrigin = Literal["default", "person"]
RuleChangeKind = Literal["created", "edited", "enabled", "disabled", "removed"]

BESIDE_SPEC: Final = ("name", "kind", "version", "enabled", "locked")
"""Fields of a rule with a column of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleVersion:
    """One version of a rule: in force from `created_at` until the next one, if `enabled`."""

    rule: Rule
    change: RuleChangeKind
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEntry:
    """The newest version of a rule that was not removed."""

    newest: RuleVersion
    origin: RuleOrigin


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    project_id: str
    name: str
    version: int
    kind: str
    spec: dict[str, Any]
    enabled: bool
    locked: bool
    change: RuleChangeKind
    created_by: str
    created_at: datetime
    origin: RuleOrigin

    def entry(self) -> RuleEntry:
        return RuleEntry(newest=self.stored(), origin=self.origin)

    def stored(self) -> RuleVersion:
        return RuleVersion(
            rule=_rule(self), change=self.change, created_by=self.created_by, created_at=self.created_at
        )


def spec_of(rule: Rule) -> dict[str, Any]:
    """Return the part of a rule that people write: without version, enabled and locked."""
    fields: dict[str, Any] = msgspec.to_builtins(rule)
    return {name: value for name, value in fields.items() if name not in ("version", "enabled", "locked")}


def _rule(row: _Row) -> Rule:
    own = {name: getattr(row, name) for name in BESIDE_SPEC}
    rule: Rule = msgspec.convert({**row.spec, **own}, Rule)
    return rule


OF_PROJECTS: LiteralString = """
SELECT r.project_id, r.name, r.version, v.kind, v.spec, r.enabled, r.locked, v.change, v.created_by,
       v.created_at, r.origin
FROM pipeline.rules r
JOIN pipeline.rule_versions v USING (project_id, name, version)
WHERE r.project_id = ANY(%(project_ids)s)
ORDER BY r.project_id, r.locked DESC, r.origin, r.name
"""


def entries_of(connection: Connection, project_id: str) -> Sequence[RuleEntry]:
    """Return the rules of a project, Rules A and B first; without rows, those of a new project."""
    with connection.cursor(row_factory=class_row(_Row)) as cursor:
        rows = cursor.execute(OF_PROJECTS, {"project_ids": [project_id]}).fetchall()
    if not rows:
        return [RuleEntry(newest=one, origin="default") for one in _defaults(connection, project_id)]
    return [row.entry() for row in rows]


CREATED: LiteralString = "SELECT created_at FROM projects WHERE id = %(project_id)s"


def _defaults(connection: Connection, project_id: str) -> list[RuleVersion]:
    """Return the rules of a new project: one of an earlier release has them until something changes."""
    row = connection.execute(CREATED, {"project_id": project_id}).fetchone()
    if row is None:
        return []
    return [
        RuleVersion(rule=rule, change="created", created_by="system", created_at=row[0])
        for rule in DEFAULT_RULES
    ]


def rules_of(connection: Connection, project_ids: Collection[str]) -> Mapping[str, tuple[Rule, ...]]:
    """Return the rules of each project, disabled ones as well; each carries its version.

    A project that an earlier release created has no rows until something of them changes: it has the
    rules of a new project.
    """
    found: dict[str, list[Rule]] = {}
    with connection.cursor(row_factory=class_row(_Row)) as cursor:
        for row in cursor.execute(OF_PROJECTS, {"project_ids": list(project_ids)}):
            found.setdefault(row.project_id, []).append(_rule(row))
    return {one: tuple(found.get(one, DEFAULT_RULES)) for one in project_ids}


HISTORY: LiteralString = """
SELECT v.project_id, v.name, v.version, v.kind, v.spec, v.enabled, coalesce(r.locked, false) AS locked,
       v.change, v.created_by, v.created_at, coalesce(r.origin, 'person') AS origin
FROM pipeline.rule_versions v
LEFT JOIN pipeline.rules r USING (project_id, name)
WHERE v.project_id = %(project_id)s AND (%(name)s::text IS NULL OR v.name = %(name)s)
ORDER BY v.name, v.version DESC
LIMIT %(limit)s
"""
MAX_VERSIONS: Final = 1_000  # of one answer (guess: people change a rule tens of times)


def history_of(
    connection: Connection, project_id: str, name: str | None = None, *, limit: int = MAX_VERSIONS
) -> Sequence[RuleVersion]:
    """Return the newest versions of one rule, or of all, newest first; removed rules keep theirs."""
    parameters = {"project_id": project_id, "name": name, "limit": limit}
    with connection.cursor(row_factory=class_row(_Row)) as cursor:
        found = [row.stored() for row in cursor.execute(HISTORY, parameters)]
    if found or name not in {rule.name for rule in DEFAULT_RULES}:
        return found
    return [one for one in _defaults(connection, project_id) if one.rule.name == name]


# Of each rule: the versions of the range, the one before it, the first and the newest.
BETWEEN: LiteralString = """
SELECT v.project_id, v.name, v.version, v.kind, v.spec, v.enabled, coalesce(r.locked, false) AS locked,
       v.change, v.created_by, v.created_at, coalesce(r.origin, 'person') AS origin
FROM pipeline.rule_versions v
LEFT JOIN pipeline.rules r USING (project_id, name)
CROSS JOIN LATERAL (
    SELECT min(n.version) AS first, max(n.version) AS newest,
           max(n.version) FILTER (WHERE n.created_at < %(since)s) AS before
    FROM pipeline.rule_versions n WHERE n.project_id = v.project_id AND n.name = v.name
) AS edge
WHERE v.project_id = %(project_id)s
  AND (v.created_at >= %(since)s AND v.created_at <= %(until)s
       OR v.version IN (edge.first, edge.newest, edge.before))
ORDER BY v.name, v.version DESC
LIMIT %(limit)s
"""


def versions_between(
    connection: Connection, project_id: str, since: datetime, until: datetime
) -> Sequence[RuleVersion]:
    """Return the versions of all rules that were in force in a range, newest first.

    Each rule's first and newest version are among them; removed rules keep theirs.
    """
    parameters = {"project_id": project_id, "since": since, "until": until, "limit": MAX_VERSIONS}
    with connection.cursor(row_factory=class_row(_Row)) as cursor:
        found = [row.stored() for row in cursor.execute(BETWEEN, parameters)]
    return found or _defaults(connection, project_id)


INSERT_DEFAULTS: LiteralString = """
WITH r AS (
    SELECT * FROM json_to_recordset(%(rules)s::json) AS r(name text, kind text, locked boolean, spec jsonb)
), inserted AS (
    INSERT INTO pipeline.rules (project_id, name, version, enabled, locked, origin)
    SELECT %(project_id)s, r.name, 1, true, r.locked, 'default' FROM r
    WHERE NOT EXISTS (SELECT FROM pipeline.rules o WHERE o.project_id = %(project_id)s)
    ON CONFLICT DO NOTHING
    RETURNING name
)
INSERT INTO pipeline.rule_versions (project_id, name, version, change, kind, spec, enabled, created_by)
SELECT %(project_id)s, r.name, 1, 'created', r.kind, r.spec, true, 'system'
FROM r JOIN inserted USING (name)
"""


def insert_defaults(connection: Connection, project_id: str) -> None:
    """Write the rules of a new project, unless it has any."""
    rows = [
        {"name": rule.name, "kind": spec["kind"], "locked": rule.locked, "spec": _inner(spec)}
        for rule in DEFAULT_RULES
        for spec in (spec_of(rule),)
    ]
    connection.execute(INSERT_DEFAULTS, {"project_id": project_id, "rules": orjson.dumps(rows).decode()})


def _inner(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in spec.items() if name not in BESIDE_SPEC}


# A name that was removed goes on with its version numbers: a number always means one text.
CREATE: LiteralString = """
WITH inserted AS (
    INSERT INTO pipeline.rules (project_id, name, version, enabled, locked, origin)
    SELECT %(project_id)s, %(name)s,
           1 + coalesce((SELECT max(version) FROM pipeline.rule_versions
                         WHERE project_id = %(project_id)s AND name = %(name)s), 0),
           %(enabled)s, false, 'person'
    WHERE (SELECT count(*) FROM pipeline.rules WHERE project_id = %(project_id)s) < %(most)s
    ON CONFLICT DO NOTHING
    RETURNING version
)
INSERT INTO pipeline.rule_versions (project_id, name, version, change, kind, spec, enabled, created_by)
SELECT %(project_id)s, %(name)s, version, 'created', %(kind)s, %(spec)s::jsonb, %(enabled)s, %(created_by)s
FROM inserted
RETURNING version
"""


def create(connection: Connection, project_id: str, rule: Rule, *, created_by: str, most: int) -> int | None:
    """Store a new rule; return its version, None when the name is taken or the project has `most` rules."""
    row = connection.execute(
        CREATE, {**_parameters(project_id, rule), "created_by": created_by, "most": most}
    ).fetchone()
    return int(row[0]) if row else None


REPLACE: LiteralString = """
WITH updated AS (
    UPDATE pipeline.rules SET version = version + 1, enabled = %(enabled)s
    WHERE project_id = %(project_id)s AND name = %(name)s AND version = %(version)s
    RETURNING version
)
INSERT INTO pipeline.rule_versions (project_id, name, version, change, kind, spec, enabled, created_by)
SELECT %(project_id)s, %(name)s, version, %(change)s, %(kind)s, %(spec)s::jsonb, %(enabled)s, %(created_by)s
FROM updated
RETURNING version
"""


def replace(
    connection: Connection, project_id: str, rule: Rule, *, change: RuleChangeKind, created_by: str
) -> int | None:
    """Store the next version of a rule, whose `version` is the one that it follows.

    Returns the new version, None when another change came first.
    """
    parameters = {**_parameters(project_id, rule), "change": change, "created_by": created_by}
    row = connection.execute(REPLACE, parameters).fetchone()
    return int(row[0]) if row else None


REMOVE: LiteralString = """
WITH removed AS (
    DELETE FROM pipeline.rules
    WHERE project_id = %(project_id)s AND name = %(name)s AND version = %(version)s AND NOT locked
    RETURNING version
)
INSERT INTO pipeline.rule_versions (project_id, name, version, change, kind, spec, enabled, created_by)
SELECT %(project_id)s, %(name)s, version + 1, 'removed', %(kind)s, %(spec)s::jsonb, false, %(created_by)s
FROM removed
RETURNING version
"""


def remove(connection: Connection, project_id: str, rule: Rule, *, created_by: str) -> bool:
    """Remove a rule at its version; its versions stay. False when it is locked, or was changed meanwhile."""
    parameters = {**_parameters(project_id, rule), "created_by": created_by}
    return connection.execute(REMOVE, parameters).fetchone() is not None


def _parameters(project_id: str, rule: Rule) -> dict[str, object]:
    spec = spec_of(rule)
    return {
        "project_id": project_id,
        "name": rule.name,
        "version": rule.version,
        "enabled": rule.enabled,
        "kind": spec["kind"],
        "spec": orjson.dumps(_inner(spec)).decode(),
    }
