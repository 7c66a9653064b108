"""Tables of buckets and series."""
