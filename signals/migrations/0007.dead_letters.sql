-- What operators decided about dead letters, and how many of them each partition's newest records are.
-- depends: 0005.pipeline

-- The topic is append-only: a letter that was dealt with is remembered here.
CREATE TABLE pipeline.dead_letters_settled (
    partition     int NOT NULL,           -- of signals.dlq.v1
    letter_offset bigint NOT NULL,
    buried_at     timestamptz NOT NULL,   -- the letter's own time: another letter here means another topic
    verdict       text NOT NULL,          -- requeued|dropped
    settled_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (partition, letter_offset)
);

-- The newest dead letters of each partition read: what the limit looks at, also after a restart.
CREATE TABLE pipeline.dead_letter_windows (
    consumer_group text NOT NULL,
    topic          text NOT NULL,
    partition      int NOT NULL,
    dead_offsets   bigint[] NOT NULL,     -- ascending, none older than 1,000 offsets before the newest
    PRIMARY KEY (consumer_group, topic, partition)
);
