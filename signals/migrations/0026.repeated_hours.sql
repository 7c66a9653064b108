-- The busiest five minutes of an hour: what repeats at the same hour becomes usual (docs/concepts/detection.md).
-- Hours of earlier releases keep 0: their rises are not known, and are learned from the next days on.
-- depends: 0025.views

ALTER TABLE pipeline.metrics_hours
    ADD COLUMN peak int NOT NULL DEFAULT 0;    -- events of the busiest five minutes that end in the hour
