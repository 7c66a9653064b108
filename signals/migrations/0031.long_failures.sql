-- Failures that last: messages that fail for a day, the delivery log of them, and consumers that die again and again.
-- depends: 0030.identities
ALTER TABLE pipeline.notices
    ADD COLUMN failing_since timestamptz NULL,      -- the first of its failed attempts in a row
    ADD COLUMN tried_state jsonb NULL;              -- what may have been told without an answer, like told_state
ALTER TABLE pipeline.notice_attempts
    ADD COLUMN attempts int NOT NULL DEFAULT 1;     -- the line stands for so many: the newest of them is shown
UPDATE pipeline.notices SET failing_since = now()
WHERE status IN ('queued', 'running') AND attempt_count > 0;
ALTER TABLE pipeline.destinations
    ADD COLUMN last_failed_at timestamptz NULL;     -- failures hours apart are no failing in a row

ALTER TABLE pipeline.workers
    ADD COLUMN starts timestamptz[] NOT NULL DEFAULT '{}';  -- when processes of this name began, after the first
