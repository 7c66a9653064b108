-- AI jobs and outputs: the tables of requirement R20, exactly.
-- depends: 0003.buckets
CREATE TABLE ai_jobs (
    id            uuid PRIMARY KEY,
    incident_id   uuid REFERENCES incidents (id),
    job_type      text,           -- incident_summary
    status        text,           -- queued|running|succeeded|failed
    attempt_count int,
    max_attempts  int,
    run_after     timestamptz,
    leased_until  timestamptz NULL,
    last_error    text NULL,
    created_at    timestamptz,
    updated_at    timestamptz
);

-- At most one live job per incident and type.
CREATE UNIQUE INDEX ai_jobs_one_live ON ai_jobs (incident_id, job_type)
    WHERE status IN ('queued', 'running');
CREATE INDEX ai_jobs_queued ON ai_jobs (run_after) WHERE status = 'queued';
CREATE INDEX ai_jobs_running ON ai_jobs (leased_until) WHERE status = 'running';
CREATE INDEX ai_jobs_incident ON ai_jobs (incident_id, created_at DESC);

CREATE TABLE ai_outputs (
    id           uuid PRIMARY KEY,
    incident_id  uuid REFERENCES incidents (id),
    output_type  text,            -- summary
    model        text,
    content_json jsonb,
    created_at   timestamptz
);

CREATE INDEX ai_outputs_incident ON ai_outputs (incident_id, output_type, created_at DESC);
