-- The loss ledger: how many events each stage took and what became of them, per project and minute.
-- depends: 0005.pipeline
CREATE TABLE pipeline.ledger (
    project_id text NOT NULL,        -- empty when a record names none
    minute_at  timestamptz NOT NULL, -- UTC minute in which the event was received
    stage      text NOT NULL,        -- ingest-api|incident-engine|indexer
    outcome    text NOT NULL,        -- accepted|requeued|counted|uncounted|indexed|duplicate|dead_lettered
    partition  int NOT NULL,         -- partitions never wait for each other's rows; -1 where there is none
    events     bigint NOT NULL,
    PRIMARY KEY (project_id, minute_at, stage, outcome, partition)
) WITH (fillfactor = 70);            -- a minute's row is updated often: room on its page keeps indexes still

-- Whoever audits or tidies reads minutes of all projects.
CREATE INDEX ledger_minute ON pipeline.ledger (minute_at);

-- Everything appended to the partition before this instant is handled; null while unknown.
ALTER TABLE pipeline.offsets ADD COLUMN complete_until timestamptz NULL;
