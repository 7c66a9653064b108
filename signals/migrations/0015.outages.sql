-- Outages: the incidents that have one cause, as people see them (docs/concepts/outages.md).
-- Incidents of earlier releases get an outage of their own by pages (signals/services/incidents/settling.py).
-- depends: 0014.deploys
CREATE TABLE pipeline.outages (
    id              uuid PRIMARY KEY,
    project_id      text NOT NULL,
    window_id       uuid NOT NULL,             -- the outage with which its ten minutes began, often itself
    opened_at       timestamptz NOT NULL,      -- of its first incident
    newest_at       timestamptz NOT NULL,      -- opening of its newest one
    confirmed_at    timestamptz NULL,          -- of the first confirmed one
    cause_attribute text NULL,                 -- error_code|route|environment|release|project; null: a series alone
    cause_value     text NULL,
    fired_series    int NULL,                  -- of the cause, when it was decided
    active_series   int NULL,                  -- of the cause in the day before, those that fired among them
    verdict         text NOT NULL,             -- confirmed|unconfirmed|learning
    severity        text NOT NULL,             -- warn|error|critical: of its worst incident
    status          text NOT NULL,             -- open|investigating|resolved
    created_at      timestamptz NOT NULL DEFAULT now(),
    decided_at      timestamptz NULL,          -- when what opened within five minutes was divided
    settled_at      timestamptz NULL,          -- null while incidents may still move to or from it
    resolved_at     timestamptz NULL,
    resolve_reason  text NULL,                 -- of the incident that ended last
    reopened        int NOT NULL DEFAULT 0,    -- how often it came back
    regression_of   uuid NULL REFERENCES pipeline.outages (id), -- the former outage of its first series
    merged_into     uuid NULL REFERENCES pipeline.outages (id)  -- where all its incidents went before it settled
);
CREATE INDEX outages_newest ON pipeline.outages (project_id, opened_at DESC, id DESC);
CREATE INDEX outages_told ON pipeline.outages (project_id, verdict, opened_at DESC, id DESC);
CREATE INDEX outages_joinable ON pipeline.outages (project_id, newest_at);
CREATE INDEX outages_unsettled ON pipeline.outages (created_at) WHERE settled_at IS NULL;
CREATE INDEX outages_window ON pipeline.outages (window_id) WHERE settled_at IS NULL;
CREATE INDEX outages_unresolved ON pipeline.outages (created_at) WHERE resolved_at IS NULL;

-- Series and opening are the incident's own, repeated so that a series' former outage is one look by key.
CREATE TABLE pipeline.outage_members (
    incident_id uuid PRIMARY KEY REFERENCES incidents (id),
    outage_id   uuid NOT NULL REFERENCES pipeline.outages (id),
    project_id  text NOT NULL,
    environment text NOT NULL,
    fingerprint text NOT NULL,
    opened_at   timestamptz NOT NULL,
    joined_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outage_members_outage ON pipeline.outage_members (outage_id);
CREATE INDEX outage_members_series ON pipeline.outage_members (project_id, fingerprint, opened_at DESC);
