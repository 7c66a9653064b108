"""Rules: what opens an incident. The list, one rule with its versions, and switching or removing it."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import yaml
from starlette.responses import Response

from serve_apps.console.pages import ConsolePage, Visit, see_other
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.rule_words import opens_when, rows_of
from serve_apps.console.views import View
from serve_apps.http.problems import Problem
from signals.domain.access.team import names_of
from signals.domain.detection.rule_differences import difference, without_empty
from signals.domain.detection.rule_kinds import RULE_KINDS
from signals.services.detection.rule_registry import RuleDetail, RuleInForce, RuleRefusal

REFUSALS: Final[Mapping[RuleRefusal, tuple[int, str]]] = {
    "no_such_rule": (404, "This project has no rule of this name."),
    "stale_version": (409, "Another person changed this rule meanwhile. Here it is as it is now; try again."),
    "locked_rule": (409, "This rule is locked. Create a copy under another name, and disable this one."),
    "name_taken": (409, "This project has a rule of this name. Choose another one."),
    "too_many_rules": (409, "This project has as many rules as it may have. Remove one first."),
}
KINDS: Final = {one.kind: one for one in RULE_KINDS}


def list_rules(resources: ConsoleResources, visit: Visit) -> View:
    """Show every rule of the project."""
    rules = resources.rule_registry.all(visit.where.tenancy).rules
    return View("rules.html", {"rules": rules, "watches": watches, "opens_when": opens_when})


def watches(spec: Mapping[str, Any]) -> str:
    """Say in one line which events a rule counts."""
    on = without_empty(spec["on"])
    conditions = [
        f"{name}: {', '.join(map(str, values))}" for name, values in on.items() if name != "event_type"
    ]
    return " · ".join([f"{on['event_type']} events", *conditions])


def show_rule(resources: ConsoleResources, visit: Visit) -> View:
    """Show one rule: its fields, its text, and every version with what it changed."""
    return rule_view(resources, visit, visit.request.path_params["name"])


def rule_view(
    resources: ConsoleResources, visit: Visit, name: str, *, conflict: str = "", status: int = 200
) -> View:
    """Render one rule.

    Raises:
        Problem: 404 when the project has none of this name.
    """
    tenancy = visit.where.tenancy
    found = resources.rule_registry.one(tenancy, name)
    if found is None:
        raise Problem(404, "no_such_rule", REFUSALS["no_such_rule"][1])
    history = resources.rule_registry.history(tenancy, name)
    names = names_of(resources.overview.team(tenancy))
    return View(
        "rule.html",
        {
            "found": found,
            "rule": found.rule,
            "opens_when": opens_when(found.rule.spec),
            "watches": watches(found.rule.spec),
            "fields": [*_share_of(found.rule.spec), *rows_of(found.rule.spec)],
            "text": text_of(found),
            "versions": _versions(history.versions if history else [], names),
            "conflict": conflict,
        },
        status,
    )


def text_of(found: RuleInForce) -> str:
    """Write a rule as YAML, with its name first."""
    spec = without_empty(found.rule.spec)
    ordered = {"name": spec.pop("name"), **spec}
    text = yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)
    return text.replace("\n'on':", "\non:")  # YAML 1.1 reads it as true; the reader of rules knows that


def _share_of(spec: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("a share of", watches({"on": spec["of"]}))] if "of" in spec else []


def _versions(versions: Sequence[RuleDetail], names: Mapping[str, str]) -> list[dict[str, object]]:
    """Return the versions, newest first, each with what it changed against the one before."""
    changed = [difference(before.spec, after.spec) for after, before in pairwise(versions)]
    return [
        {
            "version": one.version,
            "change": one.change,
            "at": one.created_at,
            "by": names.get(one.created_by, "the product" if one.created_by == "system" else one.created_by),
            "difference": text,
        }
        for one, text in zip(versions, [*changed, ""], strict=False)
    ]


def switch_rule(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Enable or disable a rule, in the person's name."""
    name = visit.request.path_params["name"]
    enabled = visit.form.get("enabled") == "true"
    outcome = resources.rule_registry.switch(visit.caller, name, _version(visit), enabled=enabled)
    return after_change(resources, visit, name, outcome)


def remove_rule(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Remove a rule; its versions stay."""
    name = visit.request.path_params["name"]
    refusal = resources.rule_registry.remove(visit.caller, name, _version(visit))
    if refusal is None:
        return see_other(f"{visit.base}/rules")
    return after_change(resources, visit, name, refusal)


def after_change(
    resources: ConsoleResources, visit: Visit, name: str, outcome: RuleInForce | RuleRefusal
) -> View | Response:
    """Lead to the rule as it is now, or say beside it why it was not changed.

    Raises:
        Problem: 404 when the project has none of this name.
    """
    if isinstance(outcome, RuleInForce):
        return see_other(f"{visit.base}/rules/{name}")
    status, text = REFUSALS[outcome]
    return rule_view(resources, visit, name, conflict=text, status=status)


def _version(visit: Visit) -> int | None:
    text = visit.form.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


_LIST: Final = "/console/p/{project_id}/rules"
_ONE: Final = _LIST + "/{name}"
PAGES: Final = (
    ConsolePage(method="GET", path=_LIST, right="read", handler=list_rules, active="rules"),
    ConsolePage(method="GET", path=_ONE, right="read", handler=show_rule, active="rules"),
    ConsolePage(
        method="POST", path=_ONE + "/switch", right="administer", handler=switch_rule, active="rules"
    ),
    ConsolePage(
        method="POST", path=_ONE + "/remove", right="administer", handler=remove_rule, active="rules"
    ),
)
