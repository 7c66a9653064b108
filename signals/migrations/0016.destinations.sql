-- Where notifications go, and which incidents go where (docs/concepts/notifications.md).
-- depends: 0015.outages
CREATE TABLE pipeline.destinations (
    id               uuid PRIMARY KEY,
    project_id       text NOT NULL REFERENCES projects (id),
    name             text NOT NULL,
    kind             text NOT NULL,                    -- webhook|email|slack|slack_webhook|pagerduty
    settings         jsonb NOT NULL,                   -- what may be shown
    secret           bytea NULL,                       -- sealed with SIGNALS_SECRET_KEYS
    hint             text NOT NULL,                    -- host, and the last four characters of the secret
    fallback_id      uuid NULL REFERENCES pipeline.destinations (id) ON DELETE SET NULL,
    state            text NOT NULL DEFAULT 'active',   -- active|failing|disabled
    refused_in_row   int NOT NULL DEFAULT 0,           -- permanent refusals since the last success
    failing_since    timestamptz NULL,
    last_told_at     timestamptz NULL,
    last_error       text NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    created_by       text NOT NULL,
    UNIQUE (project_id, name)
);
CREATE TABLE pipeline.routes (
    id             uuid PRIMARY KEY,
    project_id     text NOT NULL REFERENCES projects (id),
    destination_id uuid NOT NULL REFERENCES pipeline.destinations (id) ON DELETE CASCADE,
    environments   text[] NULL,                        -- null: every one
    min_severity   text NOT NULL DEFAULT 'warn',
    verdicts       text[] NOT NULL DEFAULT '{confirmed}',
    fingerprint    text NULL,                          -- a pattern with * and ?; null: every one
    quiet          jsonb NULL,                         -- {"zone", "begins", "ends", "days", "passes"}
    created_at     timestamptz NOT NULL DEFAULT now(),
    created_by     text NOT NULL
);
CREATE INDEX routes_by_project ON pipeline.routes (project_id, created_at);
CREATE INDEX routes_by_destination ON pipeline.routes (destination_id);
