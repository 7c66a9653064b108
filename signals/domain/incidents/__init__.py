"""The life of an incident, and the events and minutes that represent it."""
