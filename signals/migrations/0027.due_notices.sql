-- The messages of one destination after the other, the first due first: the notifier leases several at once.
-- depends: 0026.repeated_hours
CREATE INDEX notices_due_by_destination ON pipeline.notices (destination_id, run_after, id)
    WHERE status IN ('queued', 'running');
DROP INDEX pipeline.notices_due;
