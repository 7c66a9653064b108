-- Series of the rules that people wrote: what they count, and which of them wait for the clock
-- (docs/adr/0013-one-evaluator-with-a-state-row.md). The required tables stay as they are.
-- depends: 0020.feedback

-- Whose buckets such a series shares, since it counts exactly the same events. Null: it has minutes of its own.
ALTER TABLE pipeline.rule_series
    ADD COLUMN bucket_metric      text NULL,
    ADD COLUMN bucket_fingerprint text NULL;
-- The cap of a rule: how many series it has.
CREATE INDEX rule_series_metric ON pipeline.rule_series (project_id, metric_name) WHERE metric_name LIKE 'rule:%';

-- A series of such a rule that has events, or an incident, to be judged by the next tick.
ALTER TABLE pipeline.rule_state ADD COLUMN is_due boolean NOT NULL DEFAULT false;
CREATE INDEX rule_state_is_due ON pipeline.rule_state (partition) WHERE is_due;

-- Events a minute of these series. A minute without a row had none.
CREATE TABLE pipeline.rule_minutes (
    series_id bigint NOT NULL REFERENCES pipeline.rule_series (id) ON DELETE CASCADE,
    minute_at timestamptz NOT NULL,
    value     int NOT NULL,
    whole     int NOT NULL,                    -- of the denominator of a rate; 0 for other kinds
    PRIMARY KEY (series_id, minute_at)
);

COMMENT ON COLUMN pipeline.incident_states.resolve_reason IS
    'quiet|became_usual|superseded|gone|by_hand|rule_off|rule_changed';
