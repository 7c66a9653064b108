-- Keys of the scope public, and what a project wants of its clients' payloads.
-- A project without a row has the built-in signup names and keeps no further fields.
-- depends: 0012.rules

CREATE TABLE pipeline.public_keys (
    key_id  uuid PRIMARY KEY REFERENCES project_api_keys (id) ON DELETE CASCADE,
    origins text[] NOT NULL DEFAULT '{}',  -- of pages that may use the key; empty: any
    allowed text[] NOT NULL DEFAULT '{}'   -- event types that the key may send beside: signup, deploy
);

CREATE TABLE pipeline.door_settings (
    project_id   text PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
    signup_names text[] NULL,                -- events that are signups; null: the built-in names
    kept_fields  text[] NOT NULL DEFAULT '{}', -- opt-ins, names of signals.domain.events.door_settings
    vercel_secret text NULL,                 -- signs Vercel's hooks; never shown
    updated_at   timestamptz NOT NULL DEFAULT now()
);
