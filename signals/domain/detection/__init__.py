"""Minute buckets, the rules over them, and the verdicts of one batch."""
