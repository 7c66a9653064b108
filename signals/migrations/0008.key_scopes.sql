-- Which scope a key has, readable without its text: at most two valid keys of a project share one.
-- A key of before has no row: its scope is hashed with the rest, so nobody can tell it.
-- depends: 0005.pipeline
CREATE TABLE pipeline.api_key_scopes (
    key_id uuid PRIMARY KEY REFERENCES project_api_keys (id) ON DELETE CASCADE,
    scope  text NOT NULL          -- ingest|read
);
