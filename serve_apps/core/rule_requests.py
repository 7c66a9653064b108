"""Parts common to the endpoints of rules: name, version and body of a request; answers to a refusal."""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from serve_apps.http.endpoint import Call
from serve_apps.http.problems import Problem
from shared_types.fingerprints import RULE_NAME
from signals.domain.detection.rule_kinds import RULE_KINDS
from signals.domain.detection.rule_text import BadRule
from signals.services.detection.rule_registry import RuleInForce, RuleRefusal

_NAME: Final = re.compile(RULE_NAME)
_REFUSALS: Final[Mapping[str, tuple[int, str]]] = {
    "stale_version": (412, "The rule has another version by now; read it again (signals rules show NAME)."),
    "locked_rule": (
        409,
        "This rule is locked: it can be disabled, not edited or removed. Create a copy under another name.",
    ),
    "name_taken": (409, "Your project has a rule of this name; choose another, or edit that one."),
    "too_many_rules": (409, "Your project has as many rules as it may have; remove one first."),
}
RULE_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A rule; GET /v1/rules lists the fields of each kind with their bounds.",
    "required": ["name", "kind", "on"],
    "properties": {
        "name": {"type": "string", "pattern": f"^{RULE_NAME}$"},
        "kind": {"type": "string", "enum": [one.kind for one in RULE_KINDS]},
        "on": {
            "type": "object",
            "required": ["event_type"],
            "properties": {"event_type": {"type": "string"}},
        },
        "enabled": {"type": "boolean", "default": True},
    },
}
BODY_ERRORS: Final = {
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "Content-Encoding is not supported.",
}


def no_such_rule() -> Problem:
    """Return the answer for another project's rule as for none."""
    return Problem(404, "no_such_rule", "Your project has no rule of this name; see GET /v1/rules.")


def read_json(body: bytes) -> object:
    """Read a JSON body.

    Raises:
        Problem: 400 when it is none.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "invalid_body", "Send a rule as JSON, like GET /v1/rules shows them.") from error


def bad_rule(error: BadRule) -> Problem:
    """Return the answer to a rule that cannot be used: the field, and the values that it takes."""
    members = {"field": error.field} if error.field else {}
    return Problem(422, "bad_rule", f"{str(error)[0].upper()}{str(error)[1:]}.", members=members)


def checked(change: Any, *arguments: object, **named: object) -> RuleInForce:
    """Call a change of the registry; turn a bad rule and a refusal into their problems."""
    try:
        outcome: RuleInForce | RuleRefusal = change(*arguments, **named)
    except BadRule as error:
        raise bad_rule(error) from error
    if isinstance(outcome, str):
        raise refused(outcome)
    return outcome


def rule_name(call: Call[Any]) -> str:
    """Return the name in the path; raises the 404 when it cannot be one."""
    name: str = call.request.path_params["name"]
    if _NAME.fullmatch(name) is None:
        raise no_such_rule()
    return name


def refused(refusal: RuleRefusal) -> Problem:
    """Return the answer to a refused change."""
    if refusal == "no_such_rule":
        return no_such_rule()
    status, detail = _REFUSALS[refusal]
    members = {"field": "name"} if refusal == "name_taken" else {}
    return Problem(status, refusal, detail, members=members)
