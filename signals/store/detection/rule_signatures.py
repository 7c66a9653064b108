"""Short texts that change with rules, clock or calendar of a project, so that these can be kept compiled."""

from collections.abc import Collection, Mapping
from typing import LiteralString

from signals.clients.postgres import Connection

READ: LiteralString = """
SELECT p.id, coalesce(of_rules.signature, ''),
    concat_ws(' ', c.time_zone, of_days.signature)
FROM unnest(%(project_ids)s::text[]) AS p(id)
CROSS JOIN LATERAL (
    SELECT string_agg(r.name || ' ' || r.version || ' ' || r.enabled, ',' ORDER BY r.name) AS signature
    FROM pipeline.rules r WHERE r.project_id = p.id
) AS of_rules
LEFT JOIN LATERAL (
    SELECT o.time_zone FROM pipeline.project_clocks o WHERE o.project_id = p.id OFFSET 0
) AS c ON true
LEFT JOIN LATERAL (
    SELECT md5(string_agg(d.day::text, ',' ORDER BY d.day)) AS signature
    FROM pipeline.project_days d WHERE d.project_id = p.id
) AS of_days ON true
"""


def read(connection: Connection, project_ids: Collection[str]) -> Mapping[str, tuple[str, str]]:
    """Return two texts a project that change whenever its rules, or its time zone and days, do."""
    rows = connection.execute(READ, {"project_ids": sorted(project_ids)})
    return {project_id: (rules, clock) for project_id, rules, clock in rows}
