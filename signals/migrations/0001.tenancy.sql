-- Tenancy and keys: the tables of requirement R17, exactly.
CREATE TABLE orgs (
    id         text PRIMARY KEY,
    name       text,
    created_at timestamptz
);

CREATE TABLE projects (
    id         text PRIMARY KEY,
    org_id     text REFERENCES orgs (id),
    name       text,
    created_at timestamptz
);

CREATE TABLE project_api_keys (
    id           uuid PRIMARY KEY,
    project_id   text REFERENCES projects (id),
    key_hash     text,
    created_at   timestamptz,
    revoked_at   timestamptz NULL,
    last_used_at timestamptz NULL
);

CREATE UNIQUE INDEX project_api_keys_hash ON project_api_keys (key_hash);
CREATE INDEX project_api_keys_project ON project_api_keys (project_id);
