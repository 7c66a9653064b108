-- What the engine remembers of each series between two evaluations, and of each incident's verdict
-- (docs/concepts/detection.md). The required tables stay as they are.
-- depends: 0010.incident_states

-- Every series that a rule watches. Seldom written.
CREATE TABLE pipeline.rule_series (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id          text NOT NULL,
    project_id      text NOT NULL,
    environment     text NOT NULL,
    metric_name     text NOT NULL,
    fingerprint     text NOT NULL,
    first_bucket_at timestamptz NOT NULL,      -- where its history begins
    UNIQUE (project_id, environment, metric_name, fingerprint)
);
-- When did the project begin?
CREATE INDEX rule_series_project ON pipeline.rule_series (project_id, first_bucket_at);

-- The state of a series and the rules that share its incident: one row, rewritten every minute that it has events.
CREATE TABLE pipeline.rule_state (
    series_id     bigint PRIMARY KEY REFERENCES pipeline.rule_series (id) ON DELETE CASCADE,
    partition     int NOT NULL,                -- of the topic, that carries its events
    by_clock      boolean NOT NULL,            -- silence is judged as well: a drop rule, or an open incident
    needs_history boolean NOT NULL,            -- older buckets exist that the state does not know yet
    judged_at     timestamptz NOT NULL,        -- newest minute that was judged
    state         bytea NULL,                  -- MessagePack, at most 1 KiB; null: begins anew
    updated_at    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 60);                      -- rewritten often: room on its page keeps indexes still
CREATE INDEX rule_state_by_clock ON pipeline.rule_state (partition) WHERE by_clock;
CREATE INDEX rule_state_needs_history ON pipeline.rule_state (series_id) WHERE needs_history;

-- Whole hours of a series. An hour without a row, after the series' first, had no event and no outage.
CREATE TABLE pipeline.metrics_hours (
    series_id     bigint NOT NULL REFERENCES pipeline.rule_series (id) ON DELETE CASCADE,
    hour_start    timestamptz NOT NULL,
    value         int NOT NULL,
    clean_minutes smallint NOT NULL,           -- outside of confirmed incidents
    clean_value   int NOT NULL,                -- events in them
    PRIMARY KEY (series_id, hour_start)
);

-- Why an incident is worth telling, or not. An incident of an earlier release keeps nulls.
ALTER TABLE pipeline.incident_states
    ADD COLUMN rule         text NULL,              -- the name of the rule that opened it
    ADD COLUMN rule_version int NULL,
    ADD COLUMN confirmed_at timestamptz NULL,       -- verdict confirmed: when it became so
    ADD COLUMN numbers      jsonb NULL,             -- of the verdict: window, count, normal, conditions have and need
    ADD COLUMN reopened     int NOT NULL DEFAULT 0, -- how often it came back
    ADD COLUMN ended_at     timestamptz NULL;       -- the minute, in the time of its events, at which it was over
COMMENT ON COLUMN pipeline.incident_states.verdict IS 'confirmed|unconfirmed|learning';
COMMENT ON COLUMN pipeline.incident_states.resolve_reason IS 'quiet|became_usual|superseded|gone|by_hand';

-- Windows differ in length now. Rows of earlier releases keep the names error_spike and signup_drop.
ALTER TABLE pipeline.incident_evaluations ADD COLUMN window_minutes int NULL;
UPDATE pipeline.incident_evaluations SET window_minutes = CASE rule WHEN 'error_spike' THEN 5 ELSE 15 END;
ALTER TABLE pipeline.incident_evaluations ALTER COLUMN window_minutes SET NOT NULL;

UPDATE pipeline.incident_states s SET rule = replace(e.rule, '_', '-'), rule_version = 1
FROM pipeline.incident_evaluations e
WHERE e.incident_id = s.incident_id AND e.moment = 'opened';

-- Signup series are watched by the clock from the first tick on; their hours are filled in later.
INSERT INTO pipeline.rule_series (org_id, project_id, environment, metric_name, fingerprint, first_bucket_at)
SELECT s.org_id, s.project_id, s.environment, 'signup_count', 'signup|' || s.environment,
       coalesce((SELECT min(b.bucket_start) FROM metrics_buckets b
                 WHERE b.project_id = s.project_id AND b.environment = s.environment
                   AND b.metric_name = 'signup_count' AND b.fingerprint = 'signup|' || s.environment),
                s.last_bucket_at)
FROM pipeline.signup_series s;
INSERT INTO pipeline.rule_state (series_id, partition, by_clock, needs_history, judged_at)
SELECT r.id, s.partition, true, true, s.last_bucket_at
FROM pipeline.signup_series s
JOIN pipeline.rule_series r USING (project_id, environment)
WHERE r.metric_name = 'signup_count';
COMMENT ON TABLE pipeline.signup_series IS 'not used since 0011: a detector of the release before may still run';
