"""Tables of incidents and their events."""
