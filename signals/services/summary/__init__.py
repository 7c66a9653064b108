"""Turns due jobs into checked summaries: several at once, each finished once, under its lease."""

from signals.services.summary.summarizer import IncidentSummarizer, JobOutcome, Policy

__all__ = ["IncidentSummarizer", "JobOutcome", "Policy"]
