"""`signals rules list|show|create|edit|enable|disable|remove|history`: the rules of a running product."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer
import yaml
from rich.table import Table

from signals.cli.core_client import ask, get
from signals.cli.options import AsJson
from signals.cli.readable import console, moment, plain
from signals.domain.detection.rule_differences import difference, without_empty

RULES: Final = "/v1/rules"
NOT_EVALUATED: Final = (
    "This rule opens nothing alone: it confirms incidents of another rule, which is off or watches others."
)

Name = Annotated[str, typer.Argument(help="The rule's name.")]
RuleFile = Annotated[Path, typer.Argument(help="YAML or JSON with one rule; - reads stdin.")]


def add_commands(parent: typer.Typer) -> None:
    """Add the commands to those of rules."""
    parent.command("list")(list_rules)
    parent.command("show")(show_rule)
    parent.command("create")(create_rule)
    parent.command("edit")(edit_rule)
    parent.command("enable")(enable_rule)
    parent.command("disable")(disable_rule)
    parent.command("remove")(remove_rule)
    parent.command("history")(show_history)


def list_rules(
    kinds: Annotated[bool, typer.Option("--kinds", help="Show each kind with its fields instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the rules of the key's project."""
    found = get(RULES, {})
    if as_json:
        print(json.dumps(found["kinds" if kinds else "rules"], indent=2))
    elif kinds:
        console().print(_kinds_table(found["kinds"]))
    else:
        console().print(_rules_table(found["rules"]))


def show_rule(name: Name, as_json: AsJson = False) -> None:
    """Print one rule as YAML: save it, change it, and hand it to `signals rules edit`."""
    found = get(_path(name), {})
    if as_json:
        print(json.dumps(found, indent=2))
        return
    rule = found["rule"]
    print(f"# version {rule['version']}, {_state(rule)}; {rule['change']} {moment(rule['created_at'])}")
    if found["has_other"]:
        most = rule["spec"]["max_series"]
        print(
            f"# {found['series']} series, as many as max_series {most} allows; the rest is one series: other"
        )
    elif found["series"]:
        print(f"# {found['series']} series so far")
    sys.stdout.write(yaml.safe_dump(without_empty(rule["spec"]), sort_keys=False, allow_unicode=True))


def create_rule(file: RuleFile) -> None:
    """Create a rule; it is in force at once, unless the file says `enabled: false`."""
    _say("created", ask("POST", RULES, body=read_rule(file)).body)


def edit_rule(name: Name, file: RuleFile) -> None:
    """Replace the text of a rule by the file; the next version is in force at once.

    A file that begins as `signals rules show` prints is refused when the rule has a newer version.
    """
    text = _read(file)
    given = _parsed(text, file)
    shown = re.match(r"# version (\d+),", text)
    version = f'"{shown[1]}"' if shown else ask("GET", _path(name)).etag
    edited = ask("PUT", _path(name), body=given, if_match=version).body
    is_same = f'"{edited["rule"]["version"]}"' == version
    _say("unchanged" if is_same else "edited", edited)


def enable_rule(name: Name) -> None:
    """Put a rule into force."""
    _say("enabled", ask("PATCH", _path(name), body={"enabled": True}).body)


def disable_rule(name: Name) -> None:
    """Take a rule out of force, Rules A and B as well; it opens nothing until it is enabled."""
    _say("disabled", ask("PATCH", _path(name), body={"enabled": False}).body)


def remove_rule(name: Name) -> None:
    """Remove a rule; its versions stay readable."""
    ask("DELETE", _path(name))
    print(f"Rule {name} is removed.")


def show_history(name: Name, as_json: AsJson = False) -> None:
    """List the versions of a rule, newest first; also of a removed one."""
    versions = get(f"{_path(name)}/history", {})["versions"]
    if as_json:
        print(json.dumps(versions, indent=2))
        return
    table = Table("version", "change", "at", "by", "state", "fields changed", box=None, pad_edge=False)
    older = [*versions[1:], None]
    for one, before in zip(versions, older, strict=True):
        table.add_row(
            str(one["version"]),
            one["change"],
            moment(one["created_at"]),
            one["created_by"],
            _state(one),
            plain(difference(before["spec"], one["spec"])) if before else "",
        )
    console().print(table)


def read_rule(file: Path) -> dict[str, Any]:
    """Read one rule from YAML or JSON.

    Raises:
        typer.Exit: after the problem was printed, when there is none.
    """
    return _parsed(_read(file), file)


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(f"cannot read {file}: {error}") from error


def _parsed(text: str, file: Path) -> dict[str, Any]:
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _refused(f"cannot read {file}: {error}") from error
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    if not isinstance(given, Mapping):
        raise _refused(f"{file} must hold one rule with name, kind and on, like `signals rules show` prints")
    try:
        json.dumps(rule := _with_text_keys(given))
    except (TypeError, ValueError) as error:
        raise _refused(f"{file}: write dates and the like as texts ({error})") from error
    return rule


def _with_text_keys(given: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the mapping with texts as keys: YAML 1.1 reads the word `on` as true."""
    return {
        "on" if key is True else str(key): _with_text_keys(value) if isinstance(value, Mapping) else value
        for key, value in given.items()
    }


def _refused(problem: str) -> typer.Exit:
    typer.echo(f"signals: {problem}", err=True)
    return typer.Exit(1)


def _path(name: str) -> str:
    return f"{RULES}/{quote(name, safe='')}"


def _say(change: str, found: dict[str, Any]) -> None:
    rule = found["rule"]
    print(f"Rule {rule['name']} is {change}: version {rule['version']}, {_state(rule)}.")
    if rule["enabled"] and not found["evaluated"]:
        typer.echo(NOT_EVALUATED, err=True)


def _state(rule: dict[str, Any]) -> str:
    return ("enabled" if rule["enabled"] else "disabled") + (", locked" if rule["locked"] else "")


def _rules_table(rules: list[dict[str, Any]]) -> Table:
    table = Table("name", "kind", "watches", "per", "state", "version", "from", box=None, pad_edge=False)
    for one in rules:
        rule = one["rule"]
        watched = without_empty(rule["spec"]["on"])
        conditions = [f"{name}={','.join(v)}" for name, v in watched.items() if name != "event_type"]
        table.add_row(
            rule["name"],
            rule["kind"],
            plain(" ".join([watched["event_type"], *conditions])),
            ", ".join(rule["spec"]["per"]) or "-",
            _state(rule),
            str(rule["version"]),
            one["origin"],
        )
    return table


def _kinds_table(kinds: list[dict[str, Any]]) -> Table:
    table = Table("kind", "field", "takes", "default", box=None, pad_edge=False)
    for kind in kinds:
        table.add_row(kind["kind"], "", plain(kind["fires"]), "")
        for path, field in _with_inner(kind["fields"]):
            default = "" if field["fields"] else json.dumps(field["default"])  # that of the fields in it
            table.add_row("", path, plain(field["allowed"]), "required" if field["required"] else default)
    return table


def _with_inner(fields: list[dict[str, Any]], within: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each field with its path, and the fields in it; a refusal names the same path."""
    for field in fields:
        path = within + field["name"]
        yield path, field
        yield from _with_inner(field["fields"], f"{path}.")
