-- Everyday work on outages: assignee, snooze, maintenance windows (docs/concepts/outages.md).
-- depends: 0021.rule_counts

-- People's settings of an outage; apart from its row, which the engine locks.
CREATE TABLE pipeline.outage_cares (
    outage_id        uuid PRIMARY KEY REFERENCES pipeline.outages (id),
    assignee         text NULL,
    snoozed_until    timestamptz NULL,          -- null: not snoozed
    snoozed_at       timestamptz NULL,
    snoozed_severity text NULL,                 -- of the outage then: worse than this wakes it
    wake_after       bigint NULL,               -- so many more events wake it
    counted_before   bigint NULL,               -- events of the minute in which it was snoozed, until then
    updated_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outage_cares_snoozed ON pipeline.outage_cares (snoozed_until) WHERE snoozed_until IS NOT NULL;
CREATE INDEX outage_cares_assignee ON pipeline.outage_cares (assignee) WHERE assignee IS NOT NULL;

-- An outage that is merged hands them on, unless the other one has its own.
CREATE FUNCTION pipeline.hand_cares_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO pipeline.outage_cares (outage_id, assignee, snoozed_until, snoozed_at, snoozed_severity,
                                       wake_after, counted_before)
    SELECT NEW.merged_into, assignee, snoozed_until, snoozed_at, snoozed_severity, wake_after, counted_before
    FROM pipeline.outage_cares WHERE outage_id = NEW.id
    ON CONFLICT (outage_id) DO NOTHING;
    DELETE FROM pipeline.outage_cares WHERE outage_id = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER outage_merged AFTER UPDATE OF merged_into ON pipeline.outages
    FOR EACH ROW WHEN (OLD.merged_into IS NULL AND NEW.merged_into IS NOT NULL)
    EXECUTE FUNCTION pipeline.hand_cares_on();

-- The audit is append only, also for the product itself.
CREATE FUNCTION people.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of people.audit are neither changed nor deleted';
END
$$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON people.audit
    FOR EACH ROW EXECUTE FUNCTION people.refuse_change();

-- Windows in which messages wait. Counting knows nothing of them.
CREATE TABLE pipeline.maintenance (
    id          uuid PRIMARY KEY,
    project_id  text NOT NULL REFERENCES projects (id),
    environment text NULL,                      -- null: every one
    fingerprint text NULL,                      -- a pattern with * and ?; null: every one
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL CHECK (ends_at > starts_at),
    reason      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    created_by  text NOT NULL
);
CREATE INDEX maintenance_by_project ON pipeline.maintenance (project_id, ends_at DESC);
ALTER TABLE pipeline.notices
    ADD COLUMN held_by    uuid NULL REFERENCES pipeline.maintenance (id) ON DELETE SET NULL,
    ADD COLUMN held_until timestamptz NULL;     -- until then the message waits
CREATE INDEX notices_held ON pipeline.notices (held_by) WHERE held_by IS NOT NULL;
