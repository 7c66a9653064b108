-- What people say of summaries, what they ask about incidents, and what a project has asked of the model
-- (docs/concepts/summaries.md).
-- depends: 0019.outage_notices

-- One answer of each actor to each version of a summary; a further one replaces it.
CREATE TABLE pipeline.summary_feedback (
    output_id   uuid NOT NULL REFERENCES ai_outputs (id) ON DELETE CASCADE,
    actor       text NOT NULL,                 -- key:<id>|user:<id>
    incident_id uuid NOT NULL REFERENCES incidents (id),
    project_id  text NOT NULL,
    version     int NOT NULL,                  -- of the summary, counted from 1
    useful      boolean NOT NULL,
    cause       text NULL,                     -- what it really was, in a person's words
    facts       text[] NOT NULL DEFAULT '{}',  -- words that a right cause names
    is_visible  boolean NOT NULL DEFAULT true, -- false: no event shows the cause
    given_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (output_id, actor)
);
CREATE INDEX summary_feedback_newest ON pipeline.summary_feedback (project_id, given_at DESC);
CREATE INDEX summary_feedback_incident ON pipeline.summary_feedback (incident_id);

-- The timeline names it; nobody is notified, so that it counts as planned.
CREATE FUNCTION pipeline.note_feedback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM incidents WHERE id = NEW.incident_id FOR NO KEY UPDATE;
    INSERT INTO pipeline.incident_changes (incident_id, number, kind, actor, detail, planned_at)
    SELECT NEW.incident_id, coalesce(max(number), 0) + 1, 'feedback', NEW.actor,
           jsonb_build_object('version', NEW.version, 'useful', NEW.useful), now()
    FROM pipeline.incident_changes WHERE incident_id = NEW.incident_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER feedback_given AFTER INSERT OR UPDATE ON pipeline.summary_feedback
    FOR EACH ROW EXECUTE FUNCTION pipeline.note_feedback();

CREATE TABLE pipeline.questions (
    id          uuid PRIMARY KEY,
    incident_id uuid NOT NULL REFERENCES incidents (id),
    project_id  text NOT NULL,
    actor       text NOT NULL,                 -- key:<id>|user:<id>
    question    text NOT NULL,
    answer      jsonb NULL,                    -- statements, tools, run; null until it has ended
    asked_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX questions_incident ON pipeline.questions (incident_id, asked_at DESC);
CREATE INDEX questions_day ON pipeline.questions (project_id, asked_at);

-- What a project has spent on the model, by day in UTC.
CREATE TABLE pipeline.model_usage (
    project_id text NOT NULL,
    day        date NOT NULL,
    model      text NOT NULL,
    requests   int NOT NULL,
    tokens_in  bigint NOT NULL,
    tokens_out bigint NOT NULL,
    cost       numeric NULL,                   -- in the currency of the price; null: no price is set
    PRIMARY KEY (project_id, day, model)
);
