-- People as an OpenID Connect provider names them: for ever by issuer and subject, whatever their address becomes.
-- depends: 0029.passwords
CREATE TABLE people.identities (
    issuer     text NOT NULL,
    subject    text NOT NULL,
    user_id    uuid NOT NULL REFERENCES people.users (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (issuer, subject),
    UNIQUE (issuer, user_id)
);
CREATE INDEX identities_user ON people.identities (user_id);
