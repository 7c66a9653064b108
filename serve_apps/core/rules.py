"""The endpoints of rules: list, read, create, edit, switch, remove, and every version."""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from serve_apps.core.preconditions import IF_MATCH, if_match
from serve_apps.core.requests import ADMIN_ERRORS, READ_ERRORS, CoreResources, ProjectId, check_project
from serve_apps.core.rule_requests import (
    BODY_ERRORS,
    RULE_SCHEMA,
    checked,
    no_such_rule,
    read_json,
    refused,
    rule_name,
)
from serve_apps.http.answers import encode, encoded_answer, json_answer
from serve_apps.http.bodies import MAX_PATCH_BYTES, MAX_RULE_BYTES, read_body
from serve_apps.http.endpoint import Answer, Call, Endpoint
from serve_apps.http.parameters import NoParameters
from serve_apps.http.problems import NOT_STORED, Problem
from signals.domain.access.scopes import Right
from signals.services.detection.rule_registry import RuleHistory, RuleInForce, RuleList


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
    found = core.rule_registry.one(call.tenancy, rule_name(call))
    if found is None:
        raise no_such_rule()
    return _answer(call, found)


def get_rule_history(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Return the versions of one rule, newest first; a removed rule keeps its own."""
    found = core.rule_registry.history(call.tenancy, rule_name(call))
    if found is None:
        raise no_such_rule()
    return json_answer(call.request, found)


async def create_rule(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Create a rule. It is in force at once, unless `enabled` is false."""
    given = read_json(await read_body(call.request, MAX_RULE_BYTES))
    created = await call.in_thread(checked, core.rule_registry.create, call.principal, given)
    return _answer(call, created, status=201)


async def replace_rule(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Replace the text of a rule whose version is the one in If-Match; the next version is in force at once.

    A locked rule cannot be edited: create a copy under another name, and disable the original.
    """
    version = if_match(call, required=True)
    given = read_json(await read_body(call.request, MAX_RULE_BYTES))
    edited = await call.in_thread(
        checked, core.rule_registry.edit, call.principal, rule_name(call), version or 0, given
    )
    return _answer(call, edited)


async def switch_rule(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Enable or disable a rule; locked ones as well. If-Match may name the version."""
    version = if_match(call)
    try:
        body = RuleSwitch.model_validate_json(await read_body(call.request, MAX_PATCH_BYTES))
    except ValidationError as error:
        raise Problem(400, "invalid_body", 'Send JSON like {"enabled": false}.') from error
    switched = await call.in_thread(
        checked, core.rule_registry.switch, call.principal, rule_name(call), version, enabled=body.enabled
    )
    return _answer(call, switched)


def remove_rule(core: CoreResources, call: Call[NoParameters]) -> Response:
    """Remove a rule; its versions stay readable. If-Match may name the version."""
    refusal = core.rule_registry.remove(call.principal, rule_name(call), if_match(call))
    if refusal is not None:
        raise refused(refusal)
    return Response(status_code=204, headers=NOT_STORED)


def _answer(call: Call[NoParameters], rule: RuleInForce, *, status: int = 200) -> Response:
    headers = {"ETag": f'"{rule.rule.version}"', **NOT_STORED}
    return encoded_answer(call.request, encode(rule), status=status, headers=headers)


_TAG: Final = {"ETag": {"description": "the version", "schema": {"type": "string"}}}
_ONE: Final = "/v1/rules/{name}"
_NO_SUCH: Final = {404: "The key's project has no such rule."}
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
        headers=(IF_MATCH | {"required": True},),
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
        headers=(IF_MATCH,),
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
        headers=(IF_MATCH,),
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
