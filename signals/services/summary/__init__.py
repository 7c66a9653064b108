"""Turns due jobs into checked summaries: several at once, each finished once, under its lease."""

from signals.services.summary.comparing import ComparisonSource
from signals.services.summary.policy import JobOutcome, Policy
from signals.services.summary.summarizer import IncidentSummarizer

__all__ = ["ComparisonSource", "IncidentSummarizer", "JobOutcome", "Policy"]
