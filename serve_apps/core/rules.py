"""The endpoints of rules: list, read, create, edit, switch, remove, and every version."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from serve_apps.core.requests import ADMIN_ERRORS, READ_ERRORS, CoreResources, ProjectId, check_project
from serve_apps.http.answers import encode, encoded_answer, json_answer
from serve_apps.http.bodies import MAX_PATCH_BYTES, MAX_RULE_BYTES, read_body
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import NOT_STORED, Problem
from signals.domain.access.scopes import Right
from signals.domain.detection.rule_kinds import RULE_KINDS
from signals.domain.detection.rule_text import BadRule
from signals.services.detection.rule_registry import RuleHistory, RuleInForce, RuleList, RuleRefusal

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)
_VERSION: Final = re.compile(r'(?:W/)?"?(\d{1,9})"?', re.ASCII)


class RuleSwitch(BaseModel):
    """The body that enables or disables a rule."""

    model_config = ConfigDict(extra="forbid", strict=True)

    enabled: Annotated[bool, Field(description="whether the rule is in force from now on")]


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesQuery:
    """The parameters of a list of rules."""

    project_id: ProjectId = None


def list_rules(core: CoreResources, call: Call[RulesQuery]) -> Response:
    """List the project's rules, and each kind of rule with its fields and their bounds."""
    check_project(call.tenancy, call.query.project_id)
    return json_answer(call.request, core.rule_registry.all(call.tenancy))


def get_rule(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Return one rule. Its version is the ETag, which an edit sends back as If-Match."""
    found = core.rule_registry.one(call.tenancy, _name(call))
    if found is None:
        raise no_such_rule()
    return _answer(call, found)


def get_rule_history(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Return the versions of one rule, newest first; a removed rule keeps its own."""
    found = core.rule_registry.history(call.tenancy, _name(call))
    if found is None:
        raise no_such_rule()
    return json_answer(call.request, found)


async def create_rule(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Create a rule. It is in force at once, unless `enabled` is false."""
    given = read_json(await read_body(call.request, MAX_RULE_BYTES))
    created = await call.in_thread(_checked, core.rule_registry.create, call.principal, given)
    return _answer(call, created, status=201)


async def replace_rule(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Replace the text of a rule whose version is the one in If-Match; the next version is in force at once.

    A locked rule cannot be edited: create a copy under another name, and disable the original.
    """
    version = _if_match(call, required=True)
    given = read_json(await read_body(call.request, MAX_RULE_BYTES))
    edited = await call.in_thread(
        _checked, core.rule_registry.edit, call.principal, _name(call), version or 0, given
    )
    return _answer(call, edited)


async def switch_rule(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Enable or disable a rule; locked ones as well. If-Match may name the version."""
    version = _if_match(call)
    try:
        body = RuleSwitch.model_validate_json(await read_body(call.request, MAX_PATCH_BYTES))
    except ValidationError as error:
        raise Problem(400, "invalid_body", 'Send JSON like {"enabled": false}.') from error
    switched = await call.in_thread(
        _checked, core.rule_registry.switch, call.principal, _name(call), version, enabled=body.enabled
    )
    return _answer(call, switched)


def remove_rule(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Remove a rule; its versions stay readable. If-Match may name the version."""
    refusal = core.rule_registry.remove(call.principal, _name(call), _if_match(call))
    if refusal is not None:
        raise _refused(refusal)
    return Response(status_code=204, headers=NOT_STORED)


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


def _checked(change: Any, *arguments: object, **named: object) -> RuleInForce:
    try:
        outcome: RuleInForce | RuleRefusal = change(*arguments, **named)
    except BadRule as error:
        raise bad_rule(error) from error
    if isinstance(outcome, str):
        raise _refused(outcome)
    return outcome


def _answer(call: Call[NoParameters], rule: RuleInForce, *, status: int = 200) -> Response:
    headers = {"ETag": f'"{rule.rule.version}"', **NOT_STORED}
    return encoded_answer(call.request, encode(rule), status=status, headers=headers)


def _name(call: Call[Any]) -> str:
    name: str = call.request.path_params["name"]
    if _NAME.fullmatch(name) is None:
        raise no_such_rule()
    return name


def _if_match(call: Call[Any], *, required: bool = False) -> int | None:
    given = call.request.headers.get("if-match")
    if given is None and required:
        detail = 'Send the version that you have read as a header, like If-Match: "3".'
        raise Problem(428, "version_required", detail)
    if given is None:
        return None
    match = _VERSION.fullmatch(given.strip())
    if match is None:
        raise Problem(400, "invalid_version", 'If-Match takes one version, like "3".')
    return int(match[1])


def _refused(refusal: RuleRefusal) -> Problem:
    if refusal == "no_such_rule":
        return no_such_rule()
    status, detail = _REFUSALS[refusal]
    return Problem(status, refusal, detail)


_REFUSALS: Final[Mapping[str, tuple[int, str]]] = {
    "stale_version": (412, "The rule has another version by now; read it again."),
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
        "name": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,62}$"},
        "kind": {"type": "string", "enum": [one.kind for one in RULE_KINDS]},
        "on": {
            "type": "object",
            "required": ["event_type"],
            "properties": {"event_type": {"type": "string"}},
        },
        "enabled": {"type": "boolean", "default": True},
    },
}
_TAG: Final = {"ETag": {"description": "the version", "schema": {"type": "string"}}}
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "ETag of the version that is changed",
}
_ONE: Final = "/v1/rules/{name}"
_NO_SUCH: Final = {404: "The key's project has no such rule."}
BODY_ERRORS: Final = {
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "Content-Encoding is not supported.",
}
_BAD: Final = {422: "The rule cannot be used; `field` names the field at fault, the detail its bounds."}
_CONFLICT: Final = {409: "The rule is locked, or there is one of this name, or there are too many."}
_STALE: Final = {412: "The rule has another version by now."}

ENDPOINTS: tuple[Endpoint[CoreResources], ...] = (
    Endpoint(
        method="GET",
        path="/v1/rules",
        handler=list_rules,
        tag="rules",
        right=Right.READ,
        query=RulesQuery,
        answers={200: Answer(description="Rules and kinds.", model=RuleList)},
        errors=READ_ERRORS,
    ),
    Endpoint(
        method="POST",
        path="/v1/rules",
        handler=create_rule,
        tag="rules",
        right=Right.CHANGE_RULES,
        query=NoParameters,
        body={"application/json": RULE_SCHEMA},
        answers={201: Answer(description="The new rule.", model=RuleInForce, headers=_TAG)},
        errors=ADMIN_ERRORS | BODY_ERRORS | _BAD | _CONFLICT,
    ),
    Endpoint(
        method="GET",
        path=_ONE,
        handler=get_rule,
        tag="rules",
        right=Right.READ,
        query=NoParameters,
        answers={200: Answer(description="The rule.", model=RuleInForce, headers=_TAG)},
        errors=READ_ERRORS | _NO_SUCH,
    ),
    Endpoint(
        method="PUT",
        path=_ONE,
        handler=replace_rule,
        tag="rules",
        right=Right.CHANGE_RULES,
        query=NoParameters,
        headers=(_IF_MATCH | {"required": True},),
        body={"application/json": RULE_SCHEMA | {"required": ["kind", "on"]}},
        answers={200: Answer(description="The rule as it is now.", model=RuleInForce, headers=_TAG)},
        errors=ADMIN_ERRORS
        | BODY_ERRORS
        | _BAD
        | _NO_SUCH
        | _CONFLICT
        | _STALE
        | {428: "If-Match is missing."},
    ),
    Endpoint(
        method="PATCH",
        path=_ONE,
        handler=switch_rule,
        tag="rules",
        right=Right.CHANGE_RULES,
        query=NoParameters,
        headers=(_IF_MATCH,),
        body={"application/json": RuleSwitch},
        answers={200: Answer(description="The rule as it is now.", model=RuleInForce, headers=_TAG)},
        errors=ADMIN_ERRORS | BODY_ERRORS | _NO_SUCH | _STALE,
    ),
    Endpoint(
        method="DELETE",
        path=_ONE,
        handler=remove_rule,
        tag="rules",
        right=Right.CHANGE_RULES,
        query=NoParameters,
        headers=(_IF_MATCH,),
        answers={204: Answer(description="The rule is removed.")},
        errors=ADMIN_ERRORS | _NO_SUCH | _CONFLICT | _STALE,
    ),
    Endpoint(
        method="GET",
        path=_ONE + "/history",
        handler=get_rule_history,
        tag="rules",
        right=Right.READ,
        query=NoParameters,
        answers={200: Answer(description="Every version.", model=RuleHistory)},
        errors=READ_ERRORS | _NO_SUCH,
    ),
)
