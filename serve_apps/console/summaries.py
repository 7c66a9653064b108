"""A stored summary as pages show it: each statement beside the exhibits that it cites."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from serve_apps.console.words import CitedStatement, cited, number, steps
from signals.domain.summary.exhibits import count_key
from signals.domain.summary.figures import StoredGroup, stored_groups
from signals.services.incidents.incident_chart import DeployMark
from signals.services.incidents.incident_reason import IncidentReason
from signals.store.incidents.incident_context import StoredSummary

MAX_RESULT_SHOWN: Final = 2_000  # characters of one tool's result; the stored ones are bounded, too


def shown_summary(
    stored: StoredSummary | None, why: IncidentReason | None, deploys: Iterable[DeployMark]
) -> Mapping[str, Any] | None:
    """Return the parts of a stored summary; texts of models are data.

    `places` leads from each cited figure to the element of the page that shows it: `why` is what the page
    shows of the incident's numbers. A figure without such an element is one of `figures`, and so is each
    figure of an earlier release, which stored no keys. Each of `deploys` has a page of its own.
    """
    if stored is None:
        return None
    content = stored.content
    verification = content.get("verification")
    checked: Mapping[str, Any] = verification if isinstance(verification, dict) else {}
    evidence = [cited(text) for text in _texts(content.get("evidence"))]
    said = {one.text: one for one in evidence}
    events = {ref: event_id for one in evidence for ref, event_id in one.references if event_id}
    causes = [_cause(cited(text), said, events) for text in _texts(content.get("likely_causes"))]
    groups = list(stored_groups(content.get("findings")))
    figures, keys = _by_reference(checked.get("figures")), _by_reference(checked.get("figure_keys"))
    elements = _elements(groups, why)
    rows = {ref: elements[key] for ref, key in keys.items() if ref in figures and key in elements}
    return {
        "model": stored.model,
        "created_at": stored.created_at,
        "impact": str(content.get("impact") or ""),
        "causes": causes,
        "groups": groups,
        "deploys": {str(one.id) for one in deploys},
        "places": {ref: f"figure-{ref}" for ref in figures} | rows,
        "figures": {ref: text for ref, text in figures.items() if ref not in rows},
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


def _cause(
    one: CitedStatement, said: Mapping[str, CitedStatement], events: Mapping[str, str]
) -> CitedStatement:
    """Return a cause with the references of the same words among the evidence, and the events of its own."""
    if not one.references:
        return said.get(one.text, one)
    return CitedStatement(one.text, tuple((ref, event or events.get(ref)) for ref, event in one.references))


def _by_reference(found: object) -> dict[str, str]:
    """Return what is stored of each figure, by its reference."""
    return {str(ref): str(text) for ref, text in found.items()} if isinstance(found, dict) else {}


def _elements(groups: Iterable[StoredGroup], why: IncidentReason | None) -> Mapping[str, str]:
    """Return the id of the element that shows a figure, by the figure's key."""
    elements = {group.key: f"group-{place}" for place, group in enumerate(groups, start=1)}
    if why is not None:
        elements[count_key(why.latest.minute_at, why.latest.count)] = "why-latest"
        elements[count_key(why.opened.minute_at, why.opened.count)] = "why-opened"  # of two equal ones
    return elements


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
