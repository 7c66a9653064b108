"""`signals rules`: replay and defaults need no server; the other commands ask core-api."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO
from zoneinfo import ZoneInfo

import msgspec
import orjson
import typer
import yaml

from signals.cli import project_rules, rule_checks
from signals.domain.detection.calendar import CalendarDay, ProjectClock, UnknownZone, zone_named
from signals.domain.detection.default_rules import DEFAULT_RULES
from signals.domain.detection.rule_text import BadRule, parse_rules
from signals.domain.detection.rule_types import Rule
from signals.services.detection.count_lines import BadLine, CountLine, instant_text, read_counts
from signals.services.detection.replay import ReplayedIncident, ReplayedOutage, replay_counts

SUMMARY = "Rules: what opens an incident. Read, change, preview, or try them on your own history."

app = typer.Typer(name="rules", help=SUMMARY, no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app)


project_rules.add_commands(app)
rule_checks.add_commands(app)


@app.command()
def replay(
    counts: Annotated[
        Path,
        typer.Argument(help="CSV with the columns minute, series, count in order of time; - reads stdin."),
    ],
    rules_file: Annotated[
        Path | None,
        typer.Option("--rules", help="YAML or JSON list of rules; those of a new project otherwise."),
    ] = None,
    time_zone: Annotated[str, typer.Option(help="The project's time zone, like Europe/Berlin.")] = "UTC",
    calendar: Annotated[
        Path | None,
        typer.Option(help="JSON list of days off and launches, as `signals projects days --json` prints it."),
    ] = None,
    told: Annotated[
        bool, typer.Option("--told", help="Print outages as people would be notified of them.")
    ] = False,
) -> None:
    """Print the incidents that these counts would have opened, one JSON object a line."""
    chosen = _read_rules(rules_file) if rules_file else DEFAULT_RULES
    clock = ProjectClock.of(_zone(time_zone), _read_days(calendar) if calendar else ())
    types: set[str] = set()
    try:
        with _opened(counts) as file:
            outages = replay_counts(_with_types(read_counts(file), types), chosen, clock)
    except BadLine as error:
        raise _failed(f"{_name(counts)}, {error}") from error
    except UnicodeDecodeError as error:
        raise _failed(f"{_name(counts)} is no UTF-8 text; write it again as UTF-8") from error
    watched = {part.event_type for rule in chosen if rule.enabled for part in rule.parts}
    if missing := sorted(types - watched):
        problem = f"no rule counts {' and '.join(missing)} events; give --rules FILE with one that does"
        print(f"signals: {problem}", file=sys.stderr)
    lines = _confirmed(outages) if told else _incidents(outages)
    for line in lines:
        sys.stdout.write(orjson.dumps(line).decode() + "\n")


@app.command()
def defaults() -> None:
    """Print the rules of a new project as YAML, to be copied and changed."""
    text = yaml.safe_dump(msgspec.to_builtins(DEFAULT_RULES), sort_keys=False, allow_unicode=True)
    sys.stdout.write(text)


def _with_types(lines: Iterable[CountLine], types: set[str]) -> Iterator[CountLine]:
    """Yield the lines, and note their event types."""
    for line in lines:
        types.add(line.series.get("event_type") or "")
        yield line


@contextmanager
def _opened(counts: Path) -> Iterator[TextIO]:
    if str(counts) == "-":
        yield sys.stdin
        return
    try:
        file = counts.open(encoding="utf-8", newline="")
    except OSError as error:
        raise _failed(f"cannot read {counts}: {error.strerror}") from error
    with file:
        yield file


def _name(counts: Path) -> str:
    return "standard input" if str(counts) == "-" else str(counts)


def _read_rules(path: Path) -> tuple[Rule, ...]:
    try:
        return parse_rules(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise _failed(f"cannot read {path}: {error.strerror}") from error
    except (BadRule, yaml.YAMLError) as error:
        raise _failed(f"{path}: {error}") from error


def _read_days(path: Path) -> list[CalendarDay]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[CalendarDay])
    except OSError as error:
        raise _failed(f"cannot read {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise _failed(f"{path}: {error}; write a list as `signals projects days --json` prints it") from error


def _zone(name: str) -> ZoneInfo:
    try:
        return zone_named(name)
    except UnknownZone as error:
        raise _failed(f"--time-zone: {error}") from error


def _failed(problem: str) -> typer.Exit:
    print(f"signals: {problem}", file=sys.stderr)
    return typer.Exit(1)


def _incidents(outages: Iterable[ReplayedOutage]) -> list[dict[str, object]]:
    incidents = [incident for outage in outages for incident in outage.incidents]
    return [_incident(one) for one in sorted(incidents, key=lambda one: (one.episode.opened_at, one.series))]


def _incident(incident: ReplayedIncident) -> dict[str, object]:
    episode = incident.episode
    opened = episode.confirmed_by or episode.opened
    return {
        "series": incident.series,
        "opened_at": instant_text(episode.opened_at),
        "resolved_at": _text(episode.resolved_at),
        "rule": episode.rule,
        "verdict": episode.verdict,
        "outage": f"outage-{incident.outage}",
        "confirmed_at": _text(episode.confirmed_at),
        "resolved_because": episode.reason,
        "reopened": episode.reopened,
        "is_new": episode.is_new,
        "count": opened.count,
        "minutes": opened.length,
        "usual": None if episode.is_new else round(opened.normal, 2),
        "conditions": [
            {
                "name": one.name,
                "have": round(float(one.have), 2),
                one.compared.replace(" ", "_"): round(float(one.need), 2),
            }
            for one in opened.conditions
        ],
    }


def _confirmed(outages: Iterable[ReplayedOutage]) -> list[dict[str, object]]:
    confirmed = sorted(
        (outage for outage in outages if outage.confirmed_at is not None),
        key=lambda one: (one.confirmed_at or 0, one.number),
    )
    return [_outage(outage) for outage in confirmed]


def _outage(outage: ReplayedOutage) -> dict[str, object]:
    ends = [incident.episode.resolved_at for incident in outage.incidents]
    cause = outage.outage.cause
    return {
        "outage": f"outage-{outage.number}",
        "told_at": _text(outage.confirmed_at),
        "opened_at": instant_text(outage.outage.opened_at),
        "resolved_at": None if None in ends else _text(max(end for end in ends if end is not None)),
        "cause": {cause[0]: cause[1]} if cause else None,
        "incidents": [_incident(incident) for incident in outage.incidents],
    }


def _text(minute: int | None) -> str | None:
    return None if minute is None else instant_text(minute)
