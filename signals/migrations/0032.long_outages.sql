-- Hours that lay more than a day after the beginning of their outage: one long outage is no pattern of an hour
-- of the day (docs/concepts/detection.md). Hours of earlier releases are taken for hours of short ones.
-- depends: 0031.long_failures

ALTER TABLE pipeline.metrics_hours
    ADD COLUMN is_long boolean NOT NULL DEFAULT false;
