-- Minute buckets, the explicit baseline: table and unique index of requirement R19, exactly.
-- depends: 0002.incidents
CREATE TABLE metrics_buckets (
    id             bigserial PRIMARY KEY,
    org_id         text,
    project_id     text,
    environment    text,
    metric_name    text,          -- error_count, signup_count
    fingerprint    text,
    bucket_start   timestamptz,   -- aligned to the minute
    bucket_seconds int,           -- 60
    value          int,
    updated_at     timestamptz
);

CREATE UNIQUE INDEX metrics_buckets_series ON metrics_buckets
    (project_id, environment, metric_name, fingerprint, bucket_start, bucket_seconds);
