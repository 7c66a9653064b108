-- Views: what a person looks at again and again, as the query of a page's address.
-- depends: 0024.default_windows
CREATE TABLE people.views (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES people.users (id),
    project_id text NOT NULL REFERENCES projects (id),
    page       text NOT NULL CHECK (page IN ('outages', 'search')),
    name       text NOT NULL,
    query      text NOT NULL,                 -- like ?status=all&env=prod
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_id, project_id, page, name)
);
