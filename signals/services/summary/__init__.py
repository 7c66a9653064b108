"""Turns due jobs into checked summaries: several at once, each finished once, under its lease."""

from signals.services.summary.case import RecentDeploys
from signals.services.summary.summarizer import JobOutcome, Policy, Summarizing

__all__ = ["JobOutcome", "Policy", "RecentDeploys", "Summarizing"]
