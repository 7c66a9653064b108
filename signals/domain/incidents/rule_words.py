"""Titles of incidents of rules that people wrote."""

from typing import Final

from shared_types import RuleFingerprint
from signals.domain.detection.counted import counted_in
from signals.domain.detection.verdict import RuleVerdict

PLACE_CHARS: Final = 200  # of a title; guess: a route and a code in full


def rule_title(named: RuleFingerprint, opened: RuleVerdict, *, is_new: bool) -> str:
    """Name a new incident: the rule, what happened, and where."""
    return f"{named.rule}: {_happened(named, opened, is_new=is_new)}{_place(named)}"


def _happened(named: RuleFingerprint, opened: RuleVerdict, *, is_new: bool) -> str:
    counted, minutes = counted_in(named).counted, f"{opened.length} minutes"
    usual = ", a new series" if is_new else f", usually {opened.normal:.1f}"
    match named.kind:
        case "absence":
            return f"no {named.event_type} event for {_have(opened, opened.length):.0f} minutes"
        case "rate":
            whole = _have(opened, 0)
            return f"{opened.count} of {whole:.0f} events in {minutes}, {opened.count / max(1, whole):.0%}"
        case "drop" | "seasonal_down":
            return f"{counted} fell to {opened.count} in {minutes}{usual}"
        case "new_series":
            return f"{opened.count} {counted} in {minutes}, a new series"
        case _:
            return f"{opened.count} {counted} in {minutes}{usual}"


def _have(opened: RuleVerdict, default: float) -> float:
    return opened.conditions[0].have if opened.conditions else default


def _place(named: RuleFingerprint) -> str:
    values = [
        value if name in ("route", "environment") else f"{name} {value}"
        for name, value in named.values
        if value is not None
    ]
    if named.is_other:
        values.append("all series beyond the rule's bound")
    place = ", ".join(values)
    if len(place) > PLACE_CHARS:
        place = f"{place[:PLACE_CHARS]}..."
    return f" ({place})" if place else ""
