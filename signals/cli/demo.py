"""`signals demo`: runs the main job end to end and prints each step."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from signals.cli import up as up_command
from signals.cli.core_client import get, send
from signals.cli.incidents import show_incident
from signals.cli.notify import show
from signals.cli.options import ROOT, Folder
from signals.cli.readable import console
from signals.domain.notifications.messages import clean
from signals.local.errors import LocalStackError
from signals.local.inbox import InboxMessage, open_inbox
from signals.settings import ConsoleSettings

MODE: Final = "deploy_then_spike"
FINGERPRINT: Final = "PRICE_MISSING|/cart|prod"  # what the mode is about
COUNTED: Final = timedelta(hours=2)  # the mode sends an hour of history
INBOX: Final = "demo-inbox"
WITHIN_S: Final = 180.0  # seconds on a quiet machine; one under load must not fail
SUMMARY_S: Final = 180.0  # a summary waits for the index a minute at most
EDIT_S: Final = 20.0  # an edit follows within a second; the machine may be busy
POLL_S: Final = 0.3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    folder: Folder = ROOT,
    http_port: up_command.HttpPort = None,
    rate: Annotated[int, typer.Option(help="Events a second.", min=10)] = 100,
    duration: Annotated[str, typer.Option(help="How long events are sent.")] = "12s",
) -> None:
    """Start everything, send a bad deploy's traffic, and wait for its incident, its cause and its events."""
    out = console()
    messages: list[InboxMessage] = []
    out.print("1. Start the servers, Ray, both APIs and the actors")
    up_command.up(folder, http_port)
    with open_inbox(messages.append) as inbox, _told(inbox.url):
        incident_id, is_new = _spike_to_incident(out, rate, duration)
        _show_message(out, messages, incident_id, is_new=is_new)
    _where_next(out, folder, incident_id)


def _spike_to_incident(out: Console, rate: int, duration: str) -> tuple[str, bool]:
    """Return the incident's id, and whether it is new and not one of an earlier run that goes on."""
    out.print(f"\n2. Send a shop's traffic with a bad deploy: signals-loadgen {MODE} --rate {rate}")
    started_at = datetime.now(UTC)
    since = (started_at - COUNTED).isoformat().replace("+00:00", "Z")
    before = _searchable(since)
    accepted = _send(rate, duration)
    out.print("\n3. Wait until the spike is one incident with a cause, and every event is searchable")
    incident = _within(lambda: _explained_incident(started_at), "unresolved incident with its causes")
    _within(lambda: _searchable(since) >= before + accepted, f"{accepted} searchable events")
    out.print(f"   incident {incident['id']}: {incident['status']}, {incident['severity']}")
    out.print(f"   all {accepted} events are searchable\n")
    _within(lambda: not _is_being_summarized(incident["id"]), "finished summary", within_s=SUMMARY_S)
    show_incident(incident["id"])
    out.print(f"\nDone: {accepted} events became one incident.")
    is_new = datetime.fromisoformat(incident["opened_at"]) >= started_at - timedelta(minutes=1)
    return str(incident["id"]), is_new


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Have the product tell an inbox on this machine of incidents inside the block."""
    destination_id = _inbox_destination(url)
    try:
        yield
    finally:
        send("PATCH", f"/v1/destinations/{destination_id}", {"enabled": False})


def _inbox_destination(url: str) -> str:
    target = {"kind": "webhook", "url": url}
    known = [row for row in get("/v1/destinations", {}) if row["name"] == INBOX]
    if known:
        destination_id = str(known[0]["id"])
        send("PATCH", f"/v1/destinations/{destination_id}", {"target": {"url": url}, "enabled": True})
        return destination_id
    created = send("POST", "/v1/destinations", {"name": INBOX, "target": target})
    destination_id = str(created["destination"]["id"])
    route = {"destination_id": destination_id, "verdicts": ["confirmed", "learning"]}  # the project is new
    send("POST", "/v1/routes", route)
    return destination_id


def _show_message(out: Console, messages: Sequence[InboxMessage], incident_id: str, *, is_new: bool) -> None:
    """Show the message about the incident; it came to an inbox that this command opened.

    It is told at once; the cause that the comparison found edits it seconds later.
    """

    def ours() -> list[InboxMessage]:
        return [message for message in messages if incident_id in message.text]

    def explained() -> list[InboxMessage]:
        summary = get(f"/v1/incidents/{incident_id}", {})["summary"]
        causes = summary["content"].get("likely_causes")  # empty until something was compared
        return [message for message in ours() if causes and clean(str(causes[0])) in message.text]

    if not (is_new or ours()):
        out.print("\n4. No message: the incident goes on, and was told before; see signals notices list")
        return
    out.print("\n4. The message that would have gone out, as it came to an inbox on this machine")
    told = _within(ours, "message at the inbox")
    try:
        told = _within(explained, "message with the newest cause", within_s=EDIT_S)
    except LocalStackError:
        out.print(f"   (as it was told first: no edit came within {EDIT_S:.0f} s)")
    show(out, told[-1])
    out.print("\n   In a project's first hour, messages are sent only where a route asks for them, as here:")
    out.print("   signals routes create NAME --verdict confirmed --verdict learning")


def _where_next(out: Console, folder: Path, incident_id: str) -> None:
    out.print("\nWhere to look next:")
    api, dashboard = os.environ["CORE_API_URL"], os.environ["RAY_DASHBOARD_URL"]
    if ConsoleSettings.from_env().signals_console != "none":
        link = up_command.sign_in_link().replace("#", f"?next=/console/incidents/{incident_id}#", 1)
        out.print(f"   {'its page, signed in':<22} {api}{link}", soft_wrap=True)
    for purpose, place in (
        *_commands_path(),
        ("the incidents", "signals incidents list; signals outages list --verdict any"),
        ("be notified about them", "signals destinations create-webhook|create-email|create-slack ..."),
        ("the API", f"{api}/docs"),
        ("actors and logs", dashboard),
        ("what runs", "signals status"),
        ("more traffic", "signals-loadgen normal|spike_errors|drop_signups|deploy_then_spike"),
        ("keys and URLs", f"set -a; . {folder / 'env'}; set +a"),
        ("stop", "signals down"),
    ):
        out.print(f"   {purpose:<22} {place}", soft_wrap=True)


def _commands_path() -> Iterator[tuple[str, str]]:
    """Yield how a shell finds the commands below, unless it finds these very ones."""
    scripts = Path(sysconfig.get_path("scripts"))
    found = shutil.which("signals")
    if (scripts / "signals").exists() and (found is None or Path(found).parent != scripts):
        yield "find the commands", f'export PATH="{scripts}:$PATH"'


def _send(rate: int, duration: str) -> int:
    """Run the producer as the separate tool that it is; return how many events were accepted."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "loadgen.json"
        tool = (sys.executable, "-m", "producers.loadgen")  # its script may lie anywhere, as with pip --user
        options = [f"--rate={rate}", f"--duration={duration}", f"--report={report}"]
        sent = subprocess.run([*tool, MODE, *options], check=False)
        if sent.returncode != 0:
            raise LocalStackError(f"signals-loadgen ended with exit code {sent.returncode}; see above")
        accepted = json.loads(report.read_text())["accepted"]
        assert isinstance(accepted, int)
        return accepted


def _explained_incident(started_at: datetime) -> Any:
    """Return the incident once its summary has findings, which follow the first version."""
    page = get("/v1/incidents", {"env": "prod", "limit": 200})
    ours = [r for r in page["incidents"] if r["fingerprint"] == FINGERPRINT and r["status"] != "resolved"]
    if len(ours) > 1:
        raise LocalStackError(f"{len(ours)} unresolved incidents of {FINGERPRINT}: there must be one")
    fresh = [row for row in ours if datetime.fromisoformat(row["last_seen_at"]) >= started_at]
    if not fresh or not fresh[0]["summary_model"]:
        return None
    summary = get(f"/v1/incidents/{fresh[0]['id']}", {})["summary"]
    return fresh[0] if summary["content"].get("findings") else None


def _is_being_summarized(incident_id: str) -> bool:
    """Whether a job may still better the summary: its first findings may be of a part of the events."""
    jobs = get(f"/v1/incidents/{incident_id}", {})["ai_jobs"]
    return any(job["status"] in ("queued", "running") for job in jobs)


def _searchable(since: str) -> int:
    """Count events that a search finds; its total is capped, its histogram is not."""
    page = get("/v1/search/events", {"since": since, "limit": 1, "include": "histogram"})
    return sum(int(bucket["count"]) for bucket in page["histogram"]["buckets"])


def _within(condition: Callable[[], Any], expected: str, *, within_s: float = WITHIN_S) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise LocalStackError(f"no {expected} within {within_s:.0f} s: see `signals status`")
        time.sleep(POLL_S)
    return found
