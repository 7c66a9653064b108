-- Rules as rows, with every version; and how a project's clock and calendar run.
-- Versions are kept when a rule is removed: they say which rule was in force on a day.
-- depends: 0011.detection_states
CREATE TABLE pipeline.rules (
    project_id text NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name       text NOT NULL,
    version    int NOT NULL,              -- the newest one in rule_versions
    enabled    boolean NOT NULL,
    locked     boolean NOT NULL,          -- Rules A and B: may be disabled, never edited or removed
    origin     text NOT NULL,             -- default|person
    PRIMARY KEY (project_id, name)
);

CREATE TABLE pipeline.rule_versions (
    project_id text NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name       text NOT NULL,
    version    int NOT NULL,
    change     text NOT NULL,             -- created|edited|enabled|disabled|removed
    kind       text NOT NULL,             -- floor_ratio|drop|seasonal|rate|absence|new_series
    spec       jsonb NOT NULL,            -- the rule without name, kind, version, enabled and locked
    enabled    boolean NOT NULL,          -- whether it was in force from created_at on
    created_by text NOT NULL,             -- system, or key:ID
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, name, version)
);

-- A project without a row lives by UTC.
CREATE TABLE pipeline.project_clocks (
    project_id text PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
    time_zone  text NOT NULL              -- of the IANA database
);

CREATE TABLE pipeline.project_days (
    project_id text NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    day        date NOT NULL,             -- in the project's time zone
    kind       text NOT NULL,             -- day_off|launch
    name       text NOT NULL,
    PRIMARY KEY (project_id, day, kind)
);

-- The rules of a new project (signals.domain.detection.rule_types.DEFAULT_RULES), for those there are.
CREATE TABLE pipeline.new_rules AS
SELECT * FROM json_to_recordset('[
{"name": "error-spike", "kind": "floor_ratio", "locked": true, "spec":
 {"on":{"event_type":"error","severity":[],"environment":[],"error_code":[],
  "route":[],"release":[],"method":[],"status_code":[]},"per":["error_code",
  "route","environment"],"severity":null,"hold":{"fires":1,"of":1}
  ,"max_series":1000,"window":5,"floor":30,"ratio":3.0,"baseline":{"length":60,
  "minimum":1.0}}},
{"name": "signup-drop", "kind": "drop", "locked": true, "spec":
 {"on":{"event_type":"signup","severity":[],"environment":[],"error_code":[],
  "route":[],"release":[],"method":[],"status_code":[]},"per":["environment"],
  "severity":null,"hold":{"fires":1,"of":1},"max_series":1000,"window":15,
  "ceiling":10,"baseline":{"length":60,"minimum":40.0}}},
{"name": "errors-above-usual", "kind": "seasonal", "locked": false, "spec":
 {"on":{"event_type":"error","severity":[],"environment":[],"error_code":[],
  "route":[],"release":[],"method":[],"status_code":[]},"per":["error_code",
  "route","environment"],"severity":null,"hold":{"fires":1,"of":1}
  ,"max_series":1000,"direction":"up","windows":[{"length":5,"floor":20,
  "ratio":2.5,"significance":6.0,"against":"both"},{"length":15,
  "floor":20,"ratio":2,"significance":6.0,"against":"both"},{"length":60,
  "floor":20,"ratio":2,"significance":6.0,"against":"both"},{"length":60,
  "floor":30,"ratio":3,"significance":6.0,"against":"usual"}],"guard":1.2,
  "opens":"incident"}},
{"name": "signups-below-usual", "kind": "seasonal", "locked": false, "spec":
 {"on":{"event_type":"signup","severity":[],"environment":[],"error_code":[],
  "route":[],"release":[],"method":[],"status_code":[]},"per":["environment"],
  "severity":null,"hold":{"fires":1,"of":1},"max_series":1000,"direction":"down",
  "windows":[{"length":15,"floor":8,"ratio":0.5,"significance":5,
  "against":"both"},{"length":30,"floor":60,"ratio":0.75,"significance":6,
  "against":"both"},{"length":60,"floor":8,"ratio":0.5,"significance":5,
  "against":"both"},{"length":60,"floor":60,"ratio":0.78,"significance":4.5,
  "against":"both"},{"length":60,"floor":8,"ratio":0.35,"significance":5,
  "against":"usual"},{"length":180,"floor":10,"ratio":0.4,"significance":4.5,
  "against":"usual"},{"length":360,"floor":10,"ratio":0.4,"significance":4.5,
  "against":"usual"},{"length":720,"floor":10,"ratio":0.4,"significance":4.5,
  "against":"usual"}],"guard":1.0,"opens":"incident"}}]') AS r(name text, kind text, locked boolean, spec jsonb);

INSERT INTO pipeline.rules (project_id, name, version, enabled, locked, origin)
SELECT p.id, r.name, 1, true, r.locked, 'default' FROM projects p CROSS JOIN pipeline.new_rules r;

INSERT INTO pipeline.rule_versions (project_id, name, version, change, kind, spec, enabled, created_by)
SELECT p.id, r.name, 1, 'created', r.kind, r.spec, true, 'system'
FROM projects p CROSS JOIN pipeline.new_rules r;

DROP TABLE pipeline.new_rules;
