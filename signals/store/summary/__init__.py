"""Tables of summary jobs and their outputs."""
