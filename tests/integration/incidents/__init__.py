"""Outages on a real PostgreSQL: grouped, divided, followed."""
