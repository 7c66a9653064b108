-- Incidents and their representative events: the tables of requirement R18, exactly.
-- depends: 0001.tenancy
CREATE TABLE incidents (
    id           uuid PRIMARY KEY,
    org_id       text,
    project_id   text,
    environment  text,
    fingerprint  text,
    status       text,            -- open|investigating|resolved
    severity     text,            -- warn|error|critical
    title        text,
    opened_at    timestamptz,
    last_seen_at timestamptz,
    resolved_at  timestamptz NULL
);

-- Requirement R18 asks for this in application code; the index keeps it true against bugs too.
CREATE UNIQUE INDEX incidents_one_open ON incidents (project_id, environment, fingerprint)
    WHERE status <> 'resolved';
CREATE INDEX incidents_newest ON incidents (project_id, opened_at DESC, id DESC);
CREATE INDEX incidents_unresolved ON incidents (last_seen_at) WHERE status <> 'resolved';

CREATE TABLE incident_events (
    id              bigserial PRIMARY KEY,
    incident_id     uuid REFERENCES incidents (id),
    event_id        uuid,
    occurred_at     timestamptz,
    event_type      text,
    severity        text,
    attributes_json jsonb
);

CREATE INDEX incident_events_time ON incident_events (incident_id, occurred_at DESC, id DESC);
