-- Deploys as the events of type `deploy` tell of them: one row an event, written by the incident engine.
-- depends: 0013.doors
CREATE TABLE pipeline.deploys (
    project_id  text NOT NULL,
    event_id    uuid NOT NULL,
    environment text NOT NULL,
    release     text NULL,                 -- null when the event names none
    previous    text NULL,                 -- the release before
    service     text NULL,
    status      text NOT NULL,             -- success|failure
    by_whom     text NULL,
    link        text NULL,                 -- http or https
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, event_id)
);
CREATE INDEX deploys_newest ON pipeline.deploys (project_id, occurred_at DESC, event_id DESC);
CREATE INDEX deploys_of_environment ON pipeline.deploys (project_id, environment, occurred_at DESC);
