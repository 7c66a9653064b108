"""Turns due jobs into checked summaries: several at once, each finished once, under its lease."""

from signals.services.summary.comparing import ComparisonSource
from signals.services.summary.summarizer import IncidentSummarizer, JobOutcome, Policy

__all__ = ["ComparisonSource", "IncidentSummarizer", "JobOutcome", "Policy"]
