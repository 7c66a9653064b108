"""`signals incidents`: read them in a terminal, and work on them."""

import json
from collections import Counter
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from signals.cli.core_client import follow, get
from signals.cli.links import command_for
from signals.cli.options import AsJson, Since, in_query
from signals.cli.outage_work import (
    Name,
    add_feedback,
    add_grouping,
    add_status_verbs,
    add_work,
    path_of,
    print_timeline,
)
from signals.cli.readable import console, moment, plain, sparkline
from signals.domain.summary.wording import in_words, minutes_of

CHART_WIDTH: Final = 90
EVENTS_SHOWN: Final = 5


incidents = typer.Typer(help="Read incidents and work on them.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(incidents, name="incidents")


add_work(incidents, "incidents")
add_status_verbs(incidents, "incidents")
add_grouping(incidents, "incidents")
add_feedback(incidents, "incidents")


@incidents.command("list")
def list_incidents(
    env: Annotated[str | None, typer.Option(help="prod, staging or dev.")] = None,
    status: Annotated[str | None, typer.Option(help="open, investigating, resolved or unresolved.")] = None,
    severity: Annotated[str | None, typer.Option(help="warn, error or critical.")] = None,
    verdict: Annotated[str, typer.Option(help="confirmed, unconfirmed, learning or any.")] = "any",
    since: Since = None,
    assignee: Annotated[str | None, typer.Option(help="Those of one person.")] = None,
    text: Annotated[str | None, typer.Option(help="In the title or the fingerprint.")] = None,
    sort: Annotated[str, typer.Option(help="opened, last_seen or severity.")] = "opened",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    as_json: AsJson = False,
) -> None:
    """List incidents of the key's project: all of them, unless --verdict says otherwise."""
    wanted = {"env": env, "status": status, "severity": severity, "verdict": verdict, "limit": limit}
    wanted["sort"] = sort
    page = get("/v1/incidents", {**wanted, "assignee": assignee, "text": text, "since": in_query(since)})
    if as_json:
        print(json.dumps(page, indent=2))
        return
    columns = ("opened", "status", "severity", "verdict", "env", "summary", "title")
    table = Table(*columns, box=None, pad_edge=False)
    table.add_column("id", no_wrap=True)
    for row in page["incidents"]:
        table.add_row(
            moment(row["opened_at"]),
            row["status"],
            row["severity"],
            row["verdict"] or "-",
            row["environment"],
            plain(row["summary_model"] or row["ai_job_status"] or "-"),
            plain(row["title"]),
            row["id"],
        )
    out = console()
    out.print(table if page["incidents"] else "No incidents.")
    if page["next_cursor"]:
        out.print(f"There are more; raise --limit above {limit} or narrow with --since.")


@incidents.command("show")
def show_incident(incident_id: Name, as_json: AsJson = False) -> None:
    """Show one incident: why it fired, its chart, its summary."""
    detail = get(path_of("incidents", incident_id), {})
    if as_json:
        print(json.dumps(detail, indent=2))
        return
    out = console()
    _print_head(out, detail["incident"], detail["why"])
    if outage := detail["outage"]:
        others = f" with {outage['incidents'] - 1} more" if outage["incidents"] > 1 else ""
        out.print(f"outage {outage['id']}{others}, {outage['status']}, {outage['verdict']}")
    _print_beginning(out, detail["began"])
    print_chart(out, detail["chart"])
    print_summary(out, detail["summary"], detail["ai_jobs"])
    _print_events(out, detail["events"])


@incidents.command("timeline")
def incident_timeline(incident_id: Name, as_json: AsJson = False) -> None:
    """Show what happened to one incident: each change, when, and by whom."""
    print_timeline(get(path_of("incidents", incident_id, "timeline"), {}), as_json=as_json)


@incidents.command("ask")
def ask(incident_id: Name, question: str, as_json: AsJson = False) -> None:
    """Ask the model about an incident: it searches its events, and each statement cites what it found."""
    out = console()
    for name, data in follow(path_of("incidents", incident_id, "questions"), {"question": question}):
        if as_json:
            print(json.dumps({"event": name, **data}), flush=True)
        elif name == "tool":
            first = plain(data["result"]).partition("\n")[0]
            out.print(f"{data['ref']} {plain(data['tool'])} {plain(data['arguments'])}: {first}", style="dim")
        elif name == "statement":
            out.print(f"{plain(data['text'])} [{', '.join(data['refs'])}]", markup=False)
        elif name == "failed":
            typer.echo(f"signals: {data['detail']}", err=True)
            raise typer.Exit(1)
        elif name == "done":
            _print_end(out, data)


def _print_end(out: Console, done: dict[str, Any]) -> None:
    """Say what was dropped, and what the answer took."""
    if note := done["note"]:
        out.print(plain(note))
    if dropped := done["dropped"]:
        out.print(f"{len(dropped)} statements were dropped: {plain(dropped[0]['reason'])}")
    out.print(_run_line(done["run"]), style="dim")


def _print_head(out: Console, incident: dict[str, Any], why: dict[str, Any] | None) -> None:
    out.print(Text(plain(incident["title"]), style="bold"))
    out.print(f"{incident['status']}, {incident['severity']}, {incident['environment']}, {incident['id']}")
    out.print(f"fingerprint {plain(incident['fingerprint'])}")
    ended = f", resolved {moment(incident['resolved_at'])}" if incident["resolved_at"] else ""
    seen = moment(incident["last_seen_at"])
    out.print(f"opened {moment(incident['opened_at'])}, last seen {seen}{ended}")
    if why:
        _print_why(out, why)


def _print_why(out: Console, why: dict[str, Any]) -> None:
    """Print the numbers against the normal that was frozen at the opening."""
    window = f"{why['window_minutes']} minutes"
    usual = f"usually {why['normal']:.1f}" if why["normal"] is not None else "no history when it opened"
    for numbers in (why["opened"], why["latest"]):
        out.print(f"{why['rule']} ({numbers['moment']}): {numbers['count']} in {window}, {usual}")
    out.print(f"threshold {why['opened']['threshold']:.0f} when it opened")
    _print_verdict(out, why)
    if why["resolve_reason"]:
        out.print(f"resolved because: {why['resolve_reason'].replace('_', ' ')}")


def _print_verdict(out: Console, why: dict[str, Any]) -> None:
    """Print the verdict, and condition by condition what it rests on."""
    if why["verdict"] is None:
        return
    learning = ": project or rule had counted for less than 65 minutes, so that everything was new"
    out.print(f"verdict {why['verdict']}{learning if why['verdict'] == 'learning' else ''}")
    for condition in why["conditions"]:
        said = f"{condition['have']:.4g}, needs {condition['compared']} {condition['need']:.4g}"
        if why["normal"] is None and " against " in condition["name"]:
            said = "has nothing to compare with"
        out.print(f"  {why['decided_by']}: {condition['name']} {said}")


def _print_beginning(out: Console, began: dict[str, Any] | None) -> None:
    """Print when it began, and after which deploys: time order, never a proof."""
    if began is None:
        return
    out.print(f"first bad minute {moment(began['first_bad_at'])}")
    for deploy in began["deploys"]:
        of_service = f" of {plain(deploy['service'])}" if deploy["service"] else ""
        release = plain(deploy["release"] or "an unnamed release")
        gap = minutes_of(deploy["minutes_before"])
        out.print(f"began {gap} after release {release}{of_service}")
    if not began["deploys"]:
        out.print("no deploy was reported in the hour before")


def print_chart(out: Console, chart: dict[str, Any]) -> None:
    """Draw the minutes against the normal of the opening."""
    minutes = chart["minutes"]
    counts = [minute["count"] for minute in minutes]
    usual = chart["baseline_per_minute"]
    note = f", usually {usual:.1f}" if usual is not None else ""
    out.print(f"\n{chart['metric']} a minute, at most {max(counts)}{note}")
    out.print(sparkline(counts, width=CHART_WIDTH))
    out.print(f"{moment(minutes[0]['at'])} to {moment(minutes[-1]['at'])}")


def print_summary(out: Console, summary: dict[str, Any] | None, jobs: list[dict[str, Any]]) -> None:
    """Print the summary, and how the work on it stands."""
    if summary:
        content = summary["content"]
        version = f"version {summary['version']}, {moment(summary['created_at'])}"
        out.print(f"\nsummary by {plain(summary['model'])}, {version}")
        out.print(in_words(plain(content.get("impact"))))
        verification = content.get("verification") or {}
        checked = f"{verification.get('verified')} of {verification.get('claimed')} claims verified"
        out.print(f"confidence {plain(content.get('confidence'))}; {checked}")
        if note := verification.get("note"):
            out.print(plain(note))
        if run := content.get("run"):
            out.print(_run_line(run))
        for name in ("likely_causes", "evidence", "next_steps"):
            lines = content.get(name) or ()
            if lines:
                out.print(name.replace("_", " "))
            for line in lines:
                out.print(f"  - {in_words(plain(line))}")
        for link in (content.get("findings") or {}).get("links") or ():
            out.print(f"  - {plain(link['text'])}: {command_for(link['href'])}")
        if found := content.get("investigation"):
            _print_investigation(out, found)
    for line, times in Counter(map(_job_line, jobs)).items():
        out.print(line if times == 1 else f"{line} ({times} times)")


def _print_investigation(out: Console, found: dict[str, Any]) -> None:
    """Print what the model found by itself, or why it did not."""
    tools = len(found.get("tools") or ())
    out.print(f"found by the model in {tools} searches" if "failed" not in found else "not searched further")
    for statement in found.get("statements") or ():
        out.print(f"  - {plain(statement['text'])} ({', '.join(statement['refs'])})")
    if reason := found.get("failed") or found.get("note"):
        out.print(f"  {plain(reason)}")


def _run_line(run: dict[str, Any]) -> str:
    """Say what an answer of the model took."""
    tokens = f"{plain(run.get('tokens_in'))} tokens read, {plain(run.get('tokens_out'))} written"
    cost = f", cost {run['cost']:.4f}" if run.get("cost") is not None else ""
    return f"prompt {plain(run.get('prompt'))}: {plain(run.get('seconds'))} s, {tokens}{cost}"


def _job_line(job: dict[str, Any]) -> str:
    error = f": {plain(job['last_error'])}" if job["last_error"] else ""
    failed = f", {job['attempt_count']} of {job['max_attempts']} attempts failed"
    return f"summary job {job['status']}{failed if job['attempt_count'] else ''}{error}"


def _print_events(out: Console, events: list[dict[str, Any]]) -> None:
    if events:
        out.print(f"\n{min(len(events), EVENTS_SHOWN)} of {len(events)} representative events")
    for event in events[:EVENTS_SHOWN]:
        attributes = plain(json.dumps(event["attributes"], ensure_ascii=False))
        out.print(f"  {moment(event['occurred_at'])} {event['severity']} {event['event_type']} {attributes}")
