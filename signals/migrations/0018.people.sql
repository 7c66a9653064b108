-- People who use the console: who they are, what they may do, how they are signed in, and what they changed.
-- depends: 0017.notices
CREATE SCHEMA people;

CREATE TABLE people.users (
    id          uuid PRIMARY KEY,
    email       text NOT NULL,                -- as the person writes it; compared in lower case
    name        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz NULL              -- the row stays: the audit names it
);
CREATE UNIQUE INDEX users_email ON people.users (lower(email));

CREATE TABLE people.memberships (
    org_id     text NOT NULL REFERENCES orgs (id),
    user_id    uuid NOT NULL REFERENCES people.users (id),
    role       text NOT NULL CHECK (role IN ('viewer', 'responder', 'admin')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, org_id)
);
CREATE INDEX memberships_org ON people.memberships (org_id);

-- Only hashes are stored, as of API keys: a copy of the database signs no one in.
CREATE TABLE people.sign_in_links (
    token_hash text PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES people.users (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX sign_in_links_user ON people.sign_in_links (user_id);

CREATE TABLE people.sessions (
    token_hash   text PRIMARY KEY,
    id           uuid NOT NULL UNIQUE,        -- names it to its owner, who never sees the hash
    user_id      uuid NOT NULL REFERENCES people.users (id),
    browser      text NOT NULL,               -- the User-Agent, cut short
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL
);
CREATE INDEX sessions_user ON people.sessions (user_id);

-- Append only. An actor is user:<id> or cli:<account>; an object is incident:<id>, key:<id>, user:<id>.
CREATE TABLE people.audit (
    id     bigserial PRIMARY KEY,
    org_id text NOT NULL REFERENCES orgs (id),
    at     timestamptz NOT NULL DEFAULT now(),
    actor  text NOT NULL,
    verb   text NOT NULL,
    object text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_object ON people.audit (object, id DESC);
CREATE INDEX audit_org ON people.audit (org_id, id DESC);
