-- Late events reach hours that are over, a series that was counted out of order is learned anew, and a project
-- has at most 500 new fingerprints of errors an hour (docs/concepts/counting.md).
-- depends: 0022.outage_work

ALTER TABLE pipeline.metrics_hours
    ADD COLUMN late int NOT NULL DEFAULT 0;           -- events that came after the hour was closed
ALTER TABLE pipeline.rule_state
    ADD COLUMN late_events      bigint NOT NULL DEFAULT 0,  -- since the series was last learned from its buckets
    ADD COLUMN disordered_since timestamptz NULL,           -- needs_history because of late events: since when
    ADD COLUMN disordered_at    timestamptz NULL;           -- and when the newest of them came

-- A window whose division fails is tried again later and later, and stays undivided in the end.
ALTER TABLE pipeline.outages
    ADD COLUMN settle_failures int NOT NULL DEFAULT 0, -- of the window's first outage, as the next two are
    ADD COLUMN settle_after    timestamptz NULL,       -- when its division is tried again
    ADD COLUMN settle_error    text NULL;              -- of the last try

-- How many fingerprints of errors were counted for the first time, by the hour in which they were received.
CREATE TABLE pipeline.new_series (
    project_id text NOT NULL,
    hour_start timestamptz NOT NULL,
    series     int NOT NULL,
    PRIMARY KEY (project_id, hour_start)
);
CREATE INDEX new_series_age ON pipeline.new_series (hour_start);
