"""Deploys: read from events, and held against the first bad minute of an incident."""
