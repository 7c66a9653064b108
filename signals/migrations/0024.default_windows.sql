-- New windows of the seasonal rules of a new project, for projects that never changed theirs: a version more
-- (docs/concepts/detection.md).
-- depends: 0023.late_events
CREATE TABLE pipeline.new_windows AS
SELECT * FROM json_to_recordset('[
{"name": "errors-above-usual", "old":
 [{"length":5,"floor":20,"ratio":2.5,"significance":6,"against":"both"},
  {"length":15,"floor":20,"ratio":2,"significance":6,"against":"both"},
  {"length":60,"floor":20,"ratio":2,"significance":6,"against":"both"},
  {"length":60,"floor":30,"ratio":3,"significance":6,"against":"usual"}], "new":
 [{"length":5,"floor":60,"ratio":2.5,"significance":6,"against":"both","spread":1},
  {"length":5,"floor":20,"ratio":2.5,"significance":6,"against":"both","spread":4},
  {"length":15,"floor":10,"ratio":3,"significance":6,"against":"both","spread":5},
  {"length":15,"floor":20,"ratio":2,"significance":6,"against":"both","spread":5},
  {"length":60,"floor":20,"ratio":2,"significance":6,"against":"both","spread":8},
  {"length":60,"floor":30,"ratio":5,"significance":6,"against":"usual","spread":1}]},
{"name": "signups-below-usual", "old":
 [{"length":15,"floor":8,"ratio":0.5,"significance":5,"against":"both"},
  {"length":30,"floor":60,"ratio":0.75,"significance":6,"against":"both"},
  {"length":60,"floor":8,"ratio":0.5,"significance":5,"against":"both"},
  {"length":60,"floor":60,"ratio":0.78,"significance":4.5,"against":"both"},
  {"length":60,"floor":8,"ratio":0.35,"significance":5,"against":"usual"},
  {"length":180,"floor":10,"ratio":0.4,"significance":4.5,"against":"usual"},
  {"length":360,"floor":10,"ratio":0.4,"significance":4.5,"against":"usual"},
  {"length":720,"floor":10,"ratio":0.4,"significance":4.5,"against":"usual"}], "new":
 [{"length":15,"floor":8,"ratio":0.5,"significance":5,"against":"both","spread":1},
  {"length":30,"floor":60,"ratio":0.75,"significance":6,"against":"both","spread":1},
  {"length":60,"floor":8,"ratio":0.5,"significance":5,"against":"both","spread":1},
  {"length":60,"floor":60,"ratio":0.78,"significance":4.5,"against":"both","spread":1},
  {"length":60,"floor":8,"ratio":0.35,"significance":5,"against":"usual","spread":1},
  {"length":180,"floor":10,"ratio":0.4,"significance":4.5,"against":"usual","spread":1},
  {"length":360,"floor":10,"ratio":0.4,"significance":4.5,"against":"usual","spread":1},
  {"length":720,"floor":10,"ratio":0.4,"significance":4.5,"against":"usual","spread":1},
  {"length":120,"floor":100,"ratio":0.8,"significance":3.5,"against":"today","spread":1},
  {"length":180,"floor":100,"ratio":0.8,"significance":3.5,"against":"today","spread":1},
  {"length":240,"floor":100,"ratio":0.8,"significance":3.5,"against":"today","spread":1},
  {"length":360,"floor":100,"ratio":0.8,"significance":3.5,"against":"today","spread":1}]}]')
AS r(name text, old jsonb, new jsonb);

INSERT INTO pipeline.rule_versions (project_id, name, version, change, kind, spec, enabled, created_by)
SELECT r.project_id, r.name, r.version + 1, 'edited', v.kind, jsonb_set(v.spec, '{windows}', n.new), r.enabled,
       'system'
FROM pipeline.rules r
JOIN pipeline.rule_versions v USING (project_id, name, version)
JOIN pipeline.new_windows n USING (name)
WHERE r.origin = 'default' AND v.spec -> 'windows' = n.old;

UPDATE pipeline.rules r SET version = r.version + 1
FROM pipeline.new_windows n
WHERE n.name = r.name AND r.origin = 'default'
  AND EXISTS (SELECT FROM pipeline.rule_versions v
              WHERE v.project_id = r.project_id AND v.name = r.name AND v.version = r.version + 1);

DROP TABLE pipeline.new_windows;
