"""Reads and changes the rules of a project; every change is a version."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
import structlog
from psycopg_pool import ConnectionPool

from shared_types import Tenancy
from shared_types.fingerprints import rule_metric
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, reading, transaction
from signals.domain.access.principal import Caller
from signals.domain.detection.rule_kinds import RULE_KINDS, RuleKind
from signals.domain.detection.rule_text import MAX_RULES, BadRule, parse_rule
from signals.domain.detection.rule_types import Rule
from signals.services.detection.project_rules import judged_names, own_rules
from signals.store.access import audit
from signals.store.detection import own_series, rule_epochs, rules
from signals.store.detection.rules import RuleChangeKind, RuleEntry, RuleOrigin, RuleVersion

MAX_HISTORY: Final = 200  # versions of one answer (guess: people change a rule tens of times)

log = structlog.get_logger(__name__)

RuleRefusal = Literal["no_such_rule", "stale_version", "locked_rule", "name_taken", "too_many_rules"]
"""Why a rule was not changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDetail:
    """A rule at one version. `spec` is the part that people write, as they may send it back.

    `change` made this version, `created_by` names the key that did; `system` wrote the defaults.
    """

    name: str
    kind: str
    version: int
    enabled: bool
    locked: bool
    change: RuleChangeKind
    created_by: str
    created_at: datetime
    spec: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleInForce:
    """The newest version of a rule, and where the rule is from.

    `evaluated`: the running engine opens incidents by it. `series` is how many series it has counted of those
    that it may have, 0 for a rule that shares the series of Rules A and B; `has_other`: events of further
    series came, and are counted in one named `other`.
    """

    origin: RuleOrigin
    evaluated: bool
    series: int
    has_other: bool
    rule: RuleDetail


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleList:
    """The rules of a project, Rules A and B first, and every kind of rule with its fields and bounds."""

    rules: list[RuleInForce]
    kinds: tuple[RuleKind, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleHistory:
    """The versions of one rule, newest first; a removed rule keeps its own."""

    versions: list[RuleDetail]


class RuleRegistry:
    """The rules of every project; safe to call from several threads.

    Each method raises `DependencyUnavailable` when PostgreSQL does not answer.
    """

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool

    def all(self, tenancy: Tenancy) -> RuleList:
        """Return the project's rules."""
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            in_force = _all_in_force(connection, tenancy.project_id)
        return RuleList(rules=in_force, kinds=RULE_KINDS)

    def one(self, tenancy: Tenancy, name: str) -> RuleInForce | None:
        """Return one rule, None when the project has none of that name."""
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            in_force = _all_in_force(connection, tenancy.project_id)
        return next((one for one in in_force if one.rule.name == name), None)

    def history(self, tenancy: Tenancy, name: str) -> RuleHistory | None:
        """Return a rule's newest versions, None when there has never been one of that name."""
        with reading(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            found = rules.history_of(connection, tenancy.project_id, name, limit=MAX_HISTORY)
        return RuleHistory(versions=[_detail(one) for one in found]) if found else None

    def create(self, caller: Caller, given: object) -> RuleInForce | RuleRefusal:
        """Store a new rule.

        Raises:
            BadRule: naming the field at fault and its bounds.
        """
        rule = drafted(given)
        project_id = caller.tenancy.project_id
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            rules.insert_defaults(connection, project_id)
            names = [entry.newest.rule.name for entry in rules.entries_of(connection, project_id)]
            if rule.name in names:
                return "name_taken"
            version = rules.create(connection, project_id, rule, created_by=caller.actor, most=MAX_RULES)
            if version is None:
                return "name_taken" if len(names) < MAX_RULES else "too_many_rules"
            created = _now(connection, project_id, rule.name)
            _note(connection, caller, created)
        return created

    def edit(self, caller: Caller, name: str, version: int, given: object) -> RuleInForce | RuleRefusal:
        """Replace a rule's text, if `version` is still its newest.

        Raises:
            BadRule: naming the field at fault and its bounds.
        """
        project_id = caller.tenancy.project_id
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            rules.insert_defaults(connection, project_id)
            entry = _entry(connection, project_id, name)
            if entry is None:
                return "no_such_rule"
            if entry.newest.rule.locked:
                return "locked_rule"
            if entry.newest.rule.version != version:
                return "stale_version"
            if isinstance(given, dict):
                given = {"name": name, "enabled": entry.newest.rule.enabled, **given}
            rule = drafted(given)
            if rule.name != name:
                raise BadRule(f"rule {name}: name: a rule keeps its name; write {name}", field="name")
            is_same = msgspec.structs.replace(rule, version=version) == entry.newest.rule
            if is_same:
                return _now(connection, project_id, name)
            return _replaced(connection, caller, rule, entry.newest.rule, "edited")

    def switch(
        self, caller: Caller, name: str, version: int | None, *, enabled: bool
    ) -> RuleInForce | RuleRefusal:
        """Enable or disable a rule, whether locked or not; None as `version` means the newest."""
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            rules.insert_defaults(connection, caller.tenancy.project_id)
            entry = _entry(connection, caller.tenancy.project_id, name)
            if entry is None:
                return "no_such_rule"
            newest = entry.newest.rule
            if version not in (None, newest.version):
                return "stale_version"
            if newest.enabled == enabled:
                return _now(connection, caller.tenancy.project_id, name)
            rule = msgspec.structs.replace(newest, enabled=enabled)
            change: RuleChangeKind = "enabled" if enabled else "disabled"
            return _replaced(connection, caller, rule, newest, change)

    def remove(self, caller: Caller, name: str, version: int | None) -> RuleRefusal | None:
        """Remove a rule; its versions stay. None as `version` means the newest. Returns None when done."""
        project_id = caller.tenancy.project_id
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            rules.insert_defaults(connection, project_id)
            entry = _entry(connection, project_id, name)
            if entry is None:
                return "no_such_rule"
            newest = entry.newest.rule
            if newest.locked:
                return "locked_rule"
            if version not in (None, newest.version):
                return "stale_version"
            if not rules.remove(connection, project_id, newest, created_by=caller.actor):
                return "stale_version"
            audit.record_change(connection, caller, "rule removed", f"rule:{name}", before=_facts(newest))
        log.info("rule changed", project_id=project_id, rule=name, change="removed", by=caller.actor)
        return None


def drafted(given: object) -> Rule:
    """Read a rule that a person sent; the product counts its versions.

    Raises:
        BadRule: naming the field at fault and its bounds.
    """
    if not isinstance(given, dict):
        raise BadRule("a rule must be an object with name, kind and on")
    return parse_rule({key: value for key, value in given.items() if key != "version"})


def _replaced(
    connection: Connection, caller: Caller, rule: Rule, former: Rule, change: RuleChangeKind
) -> RuleInForce | RuleRefusal:
    project_id, author = caller.tenancy.project_id, caller.actor
    rule = msgspec.structs.replace(rule, version=former.version)
    if rules.replace(connection, project_id, rule, change=change, created_by=author) is None:
        return "stale_version"
    replaced = _now(connection, project_id, rule.name)
    _note(connection, caller, replaced, before=_facts(former))
    return replaced


def _facts(rule: Rule) -> dict[str, object]:
    return rules.spec_of(rule) | {"enabled": rule.enabled}


def _note(
    connection: Connection,
    caller: Caller,
    changed: RuleInForce,
    *,
    before: Mapping[str, object] | None = None,
) -> None:
    """Note a change in the audit and in the log."""
    rule = changed.rule
    target = f"rule:{rule.name}"
    audit.record_change(
        connection,
        caller,
        f"rule {rule.change}",
        target,
        before=before,
        after=rule.spec | {"enabled": rule.enabled},
    )
    log.info(
        "rule changed",
        project_id=caller.tenancy.project_id,
        rule=rule.name,
        version=rule.version,
        change=rule.change,
        by=rule.created_by,
    )


def _entry(connection: Connection, project_id: str, name: str) -> RuleEntry | None:
    entries = rules.entries_of(connection, project_id)
    return next((one for one in entries if one.newest.rule.name == name), None)


def _now(connection: Connection, project_id: str, name: str) -> RuleInForce:
    """Return a rule that the project has, as it is after a change."""
    return next(one for one in _all_in_force(connection, project_id) if one.rule.name == name)


def _all_in_force(connection: Connection, project_id: str) -> list[RuleInForce]:
    """Return the project's rules, each with what the engine makes of it."""
    entries = rules.entries_of(connection, project_id)
    rules_now = [entry.newest.rule for entry in entries]
    judged = judged_names(rules_now)
    epochs = rule_epochs.read(connection, [project_id])
    metrics = {
        rule.name: rule_metric(rule.name, epochs[project_id, rule.name].version)
        for rule in own_rules(rules_now)
    }
    counted = own_series.counts(connection, project_id, list(metrics.values())) if metrics else {}
    in_force = []
    for entry in entries:
        name = entry.newest.rule.name
        series, has_other = counted.get(metrics.get(name, ""), (0, False))
        in_force.append(
            RuleInForce(
                origin=entry.origin,
                evaluated=name in judged,
                series=series,
                has_other=has_other,
                rule=_detail(entry.newest),
            )
        )
    return in_force


def _detail(version: RuleVersion) -> RuleDetail:
    rule, spec = version.rule, rules.spec_of(version.rule)
    return RuleDetail(
        name=rule.name,
        kind=spec["kind"],
        version=rule.version,
        enabled=rule.enabled,
        locked=rule.locked,
        change=version.change,
        created_by=version.created_by,
        created_at=version.created_at,
        spec=spec,
    )
