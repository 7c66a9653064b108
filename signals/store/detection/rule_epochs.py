"""From which version on a rule has counted the same events without a gap."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import LiteralString

from signals.clients.postgres import Connection

# Numbers may change as one likes; what is counted, and the time in which nothing was, begin a new count.
READ: LiteralString = """
SELECT v.project_id, v.name, max(v.version) FILTER (WHERE v.begins),
       floor(extract(epoch FROM max(v.created_at) FILTER (WHERE v.begins)) / 60)::bigint
FROM (
    SELECT o.project_id, o.name, o.version, o.created_at,
           lag(o.version) OVER w IS NULL OR o.change IN ('created', 'enabled')
           OR o.enabled AND NOT lag(o.enabled) OVER w OR o.kind <> lag(o.kind) OVER w
           OR o.spec -> 'on' IS DISTINCT FROM lag(o.spec -> 'on') OVER w
           OR o.spec -> 'of' IS DISTINCT FROM lag(o.spec -> 'of') OVER w
           OR o.spec -> 'direction' IS DISTINCT FROM lag(o.spec -> 'direction') OVER w
           OR o.spec -> 'per' IS DISTINCT FROM lag(o.spec -> 'per') OVER w AS begins
    FROM pipeline.rule_versions o
    WHERE o.project_id = ANY(%(project_ids)s)
    WINDOW w AS (PARTITION BY o.project_id, o.name ORDER BY o.version)
) AS v
GROUP BY v.project_id, v.name
"""


@dataclass(frozen=True, slots=True)
class RuleEpoch:
    """The version from which a rule has counted without a gap, and the minute in which it was written."""

    version: int
    begun: int


def read(connection: Connection, project_ids: Collection[str]) -> Mapping[tuple[str, str], RuleEpoch]:
    """Return the epoch by project and name; a rule that was removed keeps its last one."""
    rows = connection.execute(READ, {"project_ids": list(project_ids)})
    return {(project_id, name): RuleEpoch(version, begun) for project_id, name, version, begun in rows}
