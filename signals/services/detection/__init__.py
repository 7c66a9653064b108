"""Counts events into buckets, judges them by the rules, and keeps incidents: one transaction a batch."""

from signals.services.detection.detector import GROUP, IncidentEngine

__all__ = ["GROUP", "IncidentEngine"]
