"""Watermarks, dead-letter limits and preflight findings."""
