"""Tables of schema, offsets, heartbeats and retention."""
