"""A stored summary as pages show it: each statement beside the exhibits that it cites."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from serve_apps.console.words import CitedStatement, cited, number, steps
from signals.domain.summary.figures import stored_groups
from signals.store.incidents.incident_context import StoredSummary

MAX_RESULT_SHOWN: Final = 2_000  # characters of one tool's result; the stored ones are bounded, too


def shown_summary(stored: StoredSummary | None) -> Mapping[str, Any] | None:
    """Return the parts of a stored summary; texts of models are data."""
    if stored is None:
        return None
    content = stored.content
    verification = content.get("verification")
    checked: Mapping[str, Any] = verification if isinstance(verification, dict) else {}
    evidence = [cited(text) for text in _texts(content.get("evidence"))]
    said = {one.text: one for one in evidence}
    causes = [said.get(text, CitedStatement(text, ())) for text in _texts(content.get("likely_causes"))]
    return {
        "model": stored.model,
        "created_at": stored.created_at,
        "impact": str(content.get("impact") or ""),
        "causes": causes,
        "groups": list(stored_groups(content.get("findings"))),
        "evidence": [one for one in evidence if one not in causes],
        "steps": list(steps(_texts(content.get("next_steps")))),
        "claimed": checked.get("claimed", 0),
        "verified": checked.get("verified", 0),
        "dropped": [one for one in checked.get("dropped") or [] if isinstance(one, dict)],
        "note": str(checked.get("note") or ""),
        "version": stored.version,
        "cost": _cost(content.get("run")),
        "investigation": shown_answer(content.get("investigation")),
        "past": list(_related(content.get("surroundings"), "past")),
        "concurrent": list(_related(content.get("surroundings"), "concurrent")),
    }


def shown_answer(found: object) -> Mapping[str, Any] | None:
    """Return a stored conversation: statements with what they cite, what was searched, and its cost."""
    if not isinstance(found, dict):
        return None
    return {
        "failed": str(found.get("failed") or ""),
        "note": str(found.get("note") or ""),
        "statements": [one for one in found.get("statements") or () if isinstance(one, dict)],
        "dropped": [one for one in found.get("dropped") or () if isinstance(one, dict)],
        "tools": [
            one | {"result": str(one.get("result") or "")[:MAX_RESULT_SHOWN]}
            for one in found.get("tools") or ()
            if isinstance(one, dict)
        ],
        "cost": _cost(found.get("run")),
    }


def _cost(run: object) -> str:
    """Say what an answer took, empty when no model gave it."""
    if not isinstance(run, dict):
        return ""
    parts = [str(run["model"])] if run.get("model") else []
    parts.append(f"prompt {run.get('prompt')}")
    if isinstance(seconds := run.get("seconds"), int | float):
        parts.append(f"{number(seconds)} s")
    tokens = [run.get("tokens_in"), run.get("tokens_out")]
    if all(isinstance(one, int) for one in tokens):
        parts.append(f"{tokens[0]:,} tokens read, {tokens[1]:,} written")
    cost = run.get("cost")
    parts.append(f"cost {cost:.4f}" if isinstance(cost, int | float) else "no price is set")
    return " · ".join(parts)


def _related(around: object, name: str) -> Iterator[Mapping[str, Any]]:
    """Yield incidents around this one whose ids can be followed."""
    for one in (around.get(name) or ()) if isinstance(around, dict) else ():
        try:
            opened_at = datetime.fromisoformat(str(one["opened_at"]))
            incident_id = UUID(str(one["incident_id"]))
        except (KeyError, TypeError, ValueError):
            continue
        if opened_at.tzinfo is not None:
            yield {**one, "incident_id": incident_id, "opened_at": opened_at}


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) else []
