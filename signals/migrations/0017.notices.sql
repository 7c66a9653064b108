-- What happened to each incident, and which destination was told of it (docs/concepts/notifications.md).
-- depends: 0016.destinations

-- The timeline, numbered per incident; the fold of its details equals the incident's row. Triggers write it,
-- so that no writer can forget to. `planned_at`: when notices were planned from it.
CREATE TABLE pipeline.incident_changes (
    id          bigserial PRIMARY KEY,
    incident_id uuid NOT NULL REFERENCES incidents (id),
    number      int NOT NULL,
    kind        text NOT NULL,            -- opened|status|severity|title|verdict|summarized
    actor       text NOT NULL,            -- engine|housekeeping|ai-worker|key:<id>|upgrade
    at          timestamptz NOT NULL DEFAULT now(),
    detail      jsonb NOT NULL DEFAULT '{}',
    planned_at  timestamptz NULL,
    UNIQUE (incident_id, number)
);
CREATE INDEX incident_changes_unplanned ON pipeline.incident_changes (id) WHERE planned_at IS NULL;

-- Incidents of earlier releases begin with their present state, of which nobody is told.
INSERT INTO pipeline.incident_changes (incident_id, number, kind, actor, at, detail, planned_at)
SELECT id, 1, 'opened', 'upgrade', opened_at,
       jsonb_build_object('status', status, 'severity', severity, 'title', title), now()
FROM incidents;

CREATE FUNCTION pipeline.note_change(incident uuid, what text, changed jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO pipeline.incident_changes (incident_id, number, kind, actor, detail)
    SELECT incident, coalesce(max(number), 0) + 1, what,
           coalesce(nullif(current_setting('signals.actor', true), ''), 'engine'), changed
    FROM pipeline.incident_changes WHERE incident_id = incident
$$;

CREATE FUNCTION pipeline.note_opening() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pipeline.note_change(NEW.id, 'opened',
        jsonb_build_object('status', NEW.status, 'severity', NEW.severity, 'title', NEW.title));
    RETURN NULL;
END
$$;

CREATE FUNCTION pipeline.note_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pipeline.note_change(NEW.id,
        CASE WHEN NEW.status <> OLD.status THEN 'status'
             WHEN NEW.severity <> OLD.severity THEN 'severity' ELSE 'title' END,
        CASE WHEN NEW.status <> OLD.status THEN jsonb_build_object('status', NEW.status) ELSE '{}' END
        || CASE WHEN NEW.severity <> OLD.severity THEN jsonb_build_object('severity', NEW.severity) ELSE '{}' END
        || CASE WHEN NEW.title IS DISTINCT FROM OLD.title THEN jsonb_build_object('title', NEW.title) ELSE '{}' END);
    RETURN NULL;
END
$$;

CREATE FUNCTION pipeline.note_verdict() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM incidents WHERE id = NEW.incident_id FOR NO KEY UPDATE;
    PERFORM pipeline.note_change(NEW.incident_id, 'verdict', jsonb_build_object('verdict', NEW.verdict));
    RETURN NULL;
END
$$;

CREATE FUNCTION pipeline.note_summary() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM incidents WHERE id = NEW.incident_id FOR NO KEY UPDATE;
    PERFORM pipeline.note_change(NEW.incident_id, 'summarized', jsonb_build_object('model', NEW.model));
    RETURN NULL;
END
$$;

CREATE TRIGGER incident_opened AFTER INSERT ON incidents
    FOR EACH ROW EXECUTE FUNCTION pipeline.note_opening();
CREATE TRIGGER incident_changed AFTER UPDATE OF status, severity, title ON incidents
    FOR EACH ROW WHEN (OLD.status <> NEW.status OR OLD.severity <> NEW.severity
                       OR OLD.title IS DISTINCT FROM NEW.title)
    EXECUTE FUNCTION pipeline.note_update();
CREATE TRIGGER verdict_changed AFTER UPDATE OF verdict ON pipeline.incident_states
    FOR EACH ROW WHEN (OLD.verdict IS DISTINCT FROM NEW.verdict) EXECUTE FUNCTION pipeline.note_verdict();
CREATE TRIGGER summary_stored AFTER INSERT ON ai_outputs
    FOR EACH ROW EXECUTE FUNCTION pipeline.note_summary();

-- One message at one destination: the newest change that it must tell, and the newest that it told.
CREATE TABLE pipeline.notices (
    id             uuid PRIMARY KEY,
    destination_id uuid NOT NULL REFERENCES pipeline.destinations (id) ON DELETE CASCADE,
    is_storm       boolean NOT NULL DEFAULT false,  -- stands for many incidents at once
    wanted         bigint NOT NULL,
    told           bigint NOT NULL DEFAULT 0,
    told_state     jsonb NULL,                      -- what it said last: {"status", "severity", "title", ...}
    reference      text NULL,                       -- what the destination calls the message
    sends          int NOT NULL DEFAULT 0,
    not_before     timestamptz NOT NULL DEFAULT now(),  -- a storm's message is edited at a pace
    joined_at      timestamptz NOT NULL DEFAULT now(),  -- when the newest incident came in
    status         text NOT NULL DEFAULT 'queued',  -- queued|running|succeeded|failed
    attempt_count  int NOT NULL DEFAULT 0,
    max_attempts   int NOT NULL,
    run_after      timestamptz NOT NULL,
    leased_until   timestamptz NULL,
    last_error     text NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX notices_due ON pipeline.notices (run_after, id) WHERE status IN ('queued', 'running');
CREATE INDEX notices_running ON pipeline.notices (destination_id) WHERE status = 'running';
CREATE INDEX notices_newest ON pipeline.notices (destination_id, created_at DESC);

-- The primary key is the promise: an incident, or an outage, is told by exactly one message a destination.
CREATE TABLE pipeline.notice_subjects (
    destination_id uuid NOT NULL REFERENCES pipeline.destinations (id) ON DELETE CASCADE,
    subject_id     uuid NOT NULL,
    notice_id      uuid NOT NULL REFERENCES pipeline.notices (id) ON DELETE CASCADE,
    PRIMARY KEY (destination_id, subject_id)
);
CREATE INDEX notice_subjects_by_notice ON pipeline.notice_subjects (notice_id);
CREATE INDEX notice_subjects_by_subject ON pipeline.notice_subjects (subject_id);

-- The delivery log, kept for 30 days.
CREATE TABLE pipeline.notice_attempts (
    id        bigserial PRIMARY KEY,
    notice_id uuid NOT NULL REFERENCES pipeline.notices (id) ON DELETE CASCADE,
    version   bigint NOT NULL,
    happening text NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    took_ms   int NOT NULL,
    outcome   text NOT NULL,                        -- told|retry|refused
    status    int NULL,
    error     text NULL
);
CREATE INDEX notice_attempts_by_notice ON pipeline.notice_attempts (notice_id, id);
