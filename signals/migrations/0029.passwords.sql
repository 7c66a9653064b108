-- Passwords of people, the browsers that know them, and tokens with which a person's programs use the API.
-- depends: 0028.index_waits
CREATE TABLE people.passwords (
    user_id    uuid PRIMARY KEY REFERENCES people.users (id),
    hash       text NOT NULL,                 -- argon2id with its parameters and salt
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- How a session was made: one of a one-time link may set a password without the one before.
ALTER TABLE people.sessions ADD COLUMN made_by text NOT NULL DEFAULT 'link'
    CHECK (made_by IN ('link', 'password', 'provider'));

-- A browser in which a person signed in before: attempts from it are counted apart, so that a flood of wrong
-- passwords from elsewhere cannot lock the person out.
CREATE TABLE people.browsers (
    token_hash   text PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES people.users (id),
    last_used_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX browsers_user ON people.browsers (user_id);

CREATE TABLE people.tokens (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES people.users (id),
    project_id   text NOT NULL REFERENCES projects (id),
    name         text NOT NULL,
    token_hash   text NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    last_used_at timestamptz NULL,
    UNIQUE (user_id, project_id, name)
);
