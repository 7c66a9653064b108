-- Notices are about outages: one message a destination and outage (docs/concepts/notifications.md).
-- depends: 0018.people

-- The message that further incidents of an outage join. The primary key is the promise: one a destination.
CREATE TABLE pipeline.notice_outages (
    destination_id uuid NOT NULL REFERENCES pipeline.destinations (id) ON DELETE CASCADE,
    outage_id      uuid NOT NULL,               -- the incident's id where that is in no outage
    notice_id      uuid NOT NULL REFERENCES pipeline.notices (id) ON DELETE CASCADE,
    PRIMARY KEY (destination_id, outage_id)
);
CREATE INDEX notice_outages_by_notice ON pipeline.notice_outages (notice_id);

-- What programs sort by, from the first version to the last; null: the only incident, else the notice.
ALTER TABLE pipeline.notices ADD COLUMN subject_id uuid NULL;
CREATE INDEX notices_by_subject ON pipeline.notices (destination_id, subject_id);
COMMENT ON TABLE pipeline.notice_subjects IS 'which message tells an incident';

-- Messages of earlier releases are about one incident each, and stay so; the oldest gets what joins.
UPDATE pipeline.notices n SET subject_id = s.subject_id
FROM pipeline.notice_subjects s
WHERE s.notice_id = n.id AND NOT n.is_storm;
INSERT INTO pipeline.notice_outages (destination_id, outage_id, notice_id)
SELECT DISTINCT ON (s.destination_id, coalesce(m.outage_id, s.subject_id))
       s.destination_id, coalesce(m.outage_id, s.subject_id), s.notice_id
FROM pipeline.notice_subjects s
JOIN pipeline.notices n ON n.id = s.notice_id
LEFT JOIN pipeline.outage_members m ON m.incident_id = s.subject_id
ORDER BY s.destination_id, coalesce(m.outage_id, s.subject_id), n.created_at, n.id;

-- Incidents that changed their outage: a queue for the planner, numbered with the changes of incidents.
CREATE TABLE pipeline.outage_moves (
    id          bigint PRIMARY KEY DEFAULT nextval('pipeline.incident_changes_id_seq'),
    incident_id uuid NOT NULL REFERENCES incidents (id)
);
CREATE FUNCTION pipeline.note_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO pipeline.outage_moves (incident_id) VALUES (NEW.incident_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER incident_moved AFTER UPDATE OF outage_id ON pipeline.outage_members
    FOR EACH ROW WHEN (OLD.outage_id <> NEW.outage_id) EXECUTE FUNCTION pipeline.note_move();

-- A cause that was decided is the outage's title: one incident of each message about it stands for all.
CREATE FUNCTION pipeline.note_cause() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO pipeline.outage_moves (incident_id)
    SELECT DISTINCT ON (s.notice_id) s.subject_id
    FROM pipeline.notice_outages o
    JOIN pipeline.notice_subjects s ON s.notice_id = o.notice_id
    WHERE o.outage_id = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER cause_decided AFTER UPDATE OF cause_attribute, cause_value ON pipeline.outages
    FOR EACH ROW WHEN ((OLD.cause_attribute, OLD.cause_value) IS DISTINCT FROM (NEW.cause_attribute, NEW.cause_value))
    EXECUTE FUNCTION pipeline.note_cause();
