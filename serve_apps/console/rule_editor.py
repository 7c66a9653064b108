"""The editor of rules: the text of one, tried on the counts of 14 days before it is stored."""

from collections.abc import Mapping
from typing import Any, Final

import yaml
from starlette.responses import Response

from serve_apps.console.pages import ConsolePage, Visit, see_other
from serve_apps.console.resources import ConsoleResources
from serve_apps.console.rule_words import CONDITIONS, MEANINGS
from serve_apps.console.rules import KINDS, REFUSALS, text_of
from serve_apps.console.views import View
from serve_apps.http.problems import Problem
from signals.domain.detection.rule_text import BadRule
from signals.errors import DependencyUnavailable
from signals.services.detection.preview_answers import RulePreview
from signals.services.detection.rule_preview import PREVIEW_DAYS
from signals.services.detection.rule_registry import RuleInForce

SHOWN: Final = 20  # incidents of a preview; guess: enough to judge a draft by
DEEPEST: Final = 20  # levels of lists and objects; a rule has five
TEMPLATE: Final = """name: checkout-failures
kind: floor_ratio
on: {event_type: error, route: /checkout}
per: [route, environment]
window: 10m
floor: 20
ratio: 2
"""


def show_editor(resources: ConsoleResources, visit: Visit) -> View:
    """Show an editor with a new rule, or with the one that the address names."""
    name = visit.query("name")
    if not name:
        return _editor(TEMPLATE)
    found = resources.rule_registry.one(visit.where.tenancy, name)
    if found is None:
        raise Problem(404, "no_such_rule", REFUSALS["no_such_rule"][1])
    if found.rule.locked or visit.query("copy"):
        spec = text_of(found).replace(f"name: {name}\n", f"name: my-{name}\n", 1)
        return _editor(spec)
    return _editor(text_of(found), name=name, version=str(found.rule.version))


def _editor(text: str, *, status: int = 200, **shown: Any) -> View:
    values: dict[str, Any] = {
        "text": text,
        "name": "",
        "version": "",
        "fault": "",
        "preview": None,
        "shown": SHOWN,
        "days": PREVIEW_DAYS,
        "kinds": KINDS.values(),
        "meanings": MEANINGS,
        "conditions": CONDITIONS,
    }
    return View("rule_editor.html", values | shown, status)


def preview_rule(resources: ConsoleResources, visit: Visit) -> View:
    """Try the text on the stored counts; nothing is stored."""
    fault = ""
    found: RulePreview | None = None
    try:
        found = resources.rule_previewer.preview(visit.where.tenancy, _given(visit), {})
    except BadRule as error:
        fault = _sentence(error)
    except DependencyUnavailable:
        fault = "The counts cannot be read at the moment; try again."
    return _editor(visit.form.get("text", ""), preview=found, fault=fault, **_same(visit))


def save_rule(resources: ConsoleResources, visit: Visit) -> View | Response:
    """Store the text as a new rule, or as the next version of one."""
    name, version = visit.form.get("name", ""), visit.form.get("version", "")
    try:
        given = _given(visit)
        if name:
            known = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
            outcome = resources.rule_registry.edit(visit.caller, name, known, given)
        else:
            outcome = resources.rule_registry.create(visit.caller, given)
    except BadRule as error:
        return _editor(visit.form.get("text", ""), status=422, fault=_sentence(error), **_same(visit))
    if isinstance(outcome, RuleInForce):
        return see_other(f"{visit.base}/rules/{outcome.rule.name}")
    status, text = REFUSALS[outcome]
    return _editor(visit.form.get("text", ""), status=status, fault=text, **_same(visit))


def _same(visit: Visit) -> Mapping[str, Any]:
    return {"name": visit.form.get("name", ""), "version": visit.form.get("version", "")}


def _sentence(error: BadRule) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def _given(visit: Visit) -> object:
    """Read the text of the form.

    Raises:
        BadRule: when it is no YAML, is nested too deep, or refers to parts of itself: few lines could then
            unfold to millions.
    """
    text = visit.form.get("text", "")
    try:
        _check_shape(text)
        given = yaml.load(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError) as error:
        raise BadRule(f"this cannot be read as YAML: {' '.join(str(error).split())[:200]}") from error
    return given[0] if isinstance(given, list) and len(given) == 1 else given


def _check_shape(text: str) -> None:
    """Look at the events of the text before anything is built from them.

    libyaml's parser: the time of the one in Python grows with the square of the depth, 10 s at 3,000.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise BadRule("a rule has no anchors and aliases; write each value out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise BadRule(f"a rule is nested {DEEPEST} deep at most")


_EDITOR: Final = "/console/p/{project_id}/rule-editor"
PAGES: Final = (
    ConsolePage(method="GET", path=_EDITOR, right="administer", handler=show_editor, active="rules"),
    ConsolePage(method="POST", path=_EDITOR, right="administer", handler=save_rule, active="rules"),
    ConsolePage(
        method="POST", path=_EDITOR + "/preview", right="administer", handler=preview_rule, active="rules"
    ),
)
