-- What the lifecycle remembers of an incident beside the table `incidents` (docs/concepts/incidents.md).
-- An incident of an earlier release has no row: it counts as `change`, grouping 1, last fired at its opening.
-- depends: 0009.limits
CREATE TABLE pipeline.incident_states (
    incident_id    uuid PRIMARY KEY REFERENCES incidents (id),
    kind           text NOT NULL,             -- change|new
    verdict        text NULL,                 -- learning; null when the project's history suffices
    grouping       int NOT NULL,              -- shared_types.grouping.GROUPING_VERSION at opening
    last_fired_at  timestamptz NULL,          -- newest minute at which the rule fired
    known_from     timestamptz NULL,          -- kind new: the minute from which the series' normal is known
    resolve_reason text NULL                  -- quiet|became_usual|superseded|by_hand; null while unresolved
);
