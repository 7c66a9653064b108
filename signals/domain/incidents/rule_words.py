"""Titles of incidents of rules that people wrote."""

from typing import Final

from shared_types import RuleFingerprint
from signals.domain.detection.counted import counted_in
from signals.domain.detection.verdict import RuleVerdict

LEAST_SHOWN: Final = 0.1  # a normal with one digit behind the point
PLACE_CHARS: Final = 200  # of a title; guess: a route and a code in full


def rule_title(named: RuleFingerprint, opened: RuleVerdict, *, is_new: bool) -> str:
    """Name a new incident: the rule, what happened, and where."""
    return f"{named.rule}: {_happened(named, opened, is_new=is_new)}{_place(named)}"


def minutes_of(number: float) -> str:
    """Write a number of minutes."""
    return "1 minute" if round(number) == 1 else f"{number:.0f} minutes"


def usual_of(normal: float) -> str:
    """Write the normal of a title. Zero is no usual count: earlier minutes may not have been counted yet."""
    if normal == 0:
        return "none counted before"
    return f"usually {normal:.1f}" if normal >= LEAST_SHOWN else f"usually below {LEAST_SHOWN}"


def _happened(named: RuleFingerprint, opened: RuleVerdict, *, is_new: bool) -> str:
    counted, minutes = counted_in(named).counted, minutes_of(opened.length)
    usual = ", a new series" if is_new else f", {usual_of(opened.normal)}"
    match named.kind:
        case "absence":
            return f"no {named.event_type} event for {minutes_of(_have(opened, opened.length))}"
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
