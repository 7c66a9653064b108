"""Reads fingerprints back: which series they count, and which events they stand for."""

from typing import Final

from shared_types import MetricName

_PLACEHOLDER: Final = "-"  # shared_types writes it for a missing component


def metric_of(fingerprint: str) -> MetricName:
    """Return the series of a fingerprint: `signup|env` has two components, an error's has three."""
    return "signup_count" if fingerprint.count("|") == 1 else "error_count"


def search_filters(fingerprint: str) -> str:
    """Write the `filters=` text that finds the fingerprint's events.

    A missing component is left out, so that events which do have one are found as well.
    """
    *parts, environment = fingerprint.split("|")
    if metric_of(fingerprint) == "signup_count":
        return f"event_type:signup environment:{environment}"
    named = [
        f"{key}:{_quoted(part)}"
        for key, part in zip(("error_code", "route"), parts, strict=True)
        if part != _PLACEHOLDER
    ]
    return " ".join(["event_type:error", f"environment:{environment}", *named])


def _quoted(component: str) -> str:
    text = component.replace("%7C", "|").replace("%2D", "-").replace("%25", "%")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
