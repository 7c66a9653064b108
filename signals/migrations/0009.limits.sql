-- What a key may send, and who has entered what it accepted into the ledger.
-- depends: 0006.ledger

-- A limit that is null is the environment's (SIGNALS_KEY_EVENTS_PER_SECOND, ..._PER_DAY); 0 is none.
CREATE TABLE pipeline.key_limits (
    key_id            uuid PRIMARY KEY REFERENCES project_api_keys (id) ON DELETE CASCADE,
    events_per_second int NULL CHECK (events_per_second >= 0),
    events_per_day    bigint NULL CHECK (events_per_day >= 0)
);

-- Events of a key on a UTC day, counted ahead by replicas, in chunks; only for keys with a daily limit.
CREATE TABLE pipeline.key_usage (
    key_id uuid NOT NULL,
    day    date NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (key_id, day)
);

-- The number of each replica's newest entry: a flush whose commit was lost on the wire is not repeated.
CREATE TABLE pipeline.ledger_writers (
    writer     uuid PRIMARY KEY,
    entry      bigint NOT NULL,
    entered_at timestamptz NOT NULL DEFAULT now()
);
