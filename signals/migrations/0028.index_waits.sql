-- Summaries that wait for the search index: how far the engine had read when each job first ran.
-- depends: 0027.due_notices
CREATE TABLE pipeline.index_waits (
    job_id  uuid PRIMARY KEY REFERENCES ai_jobs (id) ON DELETE CASCADE,
    offsets jsonb NOT NULL                    -- the engine's next offset by partition of the raw events
);
