"""A stored summary as pages show it: each statement beside the exhibits that it cites."""

from collections.abc import Mapping
from typing import Any

from serve_apps.console.words import cited, steps
from signals.store.incidents.incident_context import StoredSummary


def shown_summary(stored: StoredSummary | None) -> Mapping[str, Any] | None:
    """Return the parts of a stored summary; texts of models are data."""
    if stored is None:
        return None
    content = stored.content
    verification = content.get("verification")
    checked: Mapping[str, Any] = verification if isinstance(verification, dict) else {}
    return {
        "model": stored.model,
        "created_at": stored.created_at,
        "impact": str(content.get("impact") or ""),
        "causes": _texts(content.get("likely_causes")),
        "evidence": [cited(text) for text in _texts(content.get("evidence"))],
        "steps": list(steps(_texts(content.get("next_steps")))),
        "claimed": checked.get("claimed", 0),
        "verified": checked.get("verified", 0),
        "dropped": [one for one in checked.get("dropped") or [] if isinstance(one, dict)],
        "note": str(checked.get("note") or ""),
    }


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) else []
