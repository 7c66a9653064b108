-- Our own tables: what the pipeline must remember beyond the required tables (docs/requirements.md, R17 to R20).
-- depends: 0004.ai
CREATE SCHEMA pipeline;

-- The truth about what was counted: moved by compare-and-set inside each batch's transaction.
CREATE TABLE pipeline.offsets (
    consumer_group text NOT NULL,
    topic          text NOT NULL,
    partition      int NOT NULL,
    next_offset    bigint NOT NULL,
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer_group, topic, partition)
);

-- Which signup series exist, and which partition carries them: what the tick must look at.
CREATE TABLE pipeline.signup_series (
    project_id     text NOT NULL,
    environment    text NOT NULL,
    org_id         text NOT NULL,
    partition      int NOT NULL,
    last_bucket_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, environment)
);
CREATE INDEX signup_series_partition ON pipeline.signup_series (partition, last_bucket_at);

-- Why an incident fired: the numbers at its opening, and the newest ones.
CREATE TABLE pipeline.incident_evaluations (
    incident_id uuid NOT NULL REFERENCES incidents (id),
    moment      text NOT NULL,            -- opened|latest
    rule        text NOT NULL,            -- error_spike|signup_drop
    minute_at   timestamptz NOT NULL,     -- newest minute of the window
    count       int NOT NULL,             -- events in the window
    baseline    double precision NOT NULL,-- same-length average before it
    threshold   double precision NOT NULL,-- what the count was compared with
    PRIMARY KEY (incident_id, moment)
);

-- One row a consumer, rewritten every few seconds: what `signals status` and /readyz read.
CREATE TABLE pipeline.workers (
    name           text PRIMARY KEY,
    kind           text NOT NULL,          -- incident-engine|indexer|ai-worker
    state          text NOT NULL,          -- starting|running|backing-off
    detail         text NOT NULL,          -- why it backs off, empty otherwise
    partitions     int[] NOT NULL,
    lag            bigint NULL,            -- records behind the log end; null while unknown
    started_at     timestamptz NOT NULL,
    last_poll_at   timestamptz NULL,
    last_batch_at  timestamptz NULL,
    handled        bigint NOT NULL,        -- records or jobs since it started
    pid            int NOT NULL,
    node           text NOT NULL,
    heartbeat_at   timestamptz NOT NULL
);

-- Token buckets shared by all workers, for the model's requests per minute.
CREATE TABLE pipeline.rate_limits (
    name       text PRIMARY KEY,
    tokens     double precision NOT NULL,
    updated_at timestamptz NOT NULL
);
