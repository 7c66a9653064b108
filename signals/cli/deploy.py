"""`signals deploy`: reports a deploy from CI, so that incidents name the release that they began after."""

import time
from enum import StrEnum
from typing import Annotated, Final
from urllib.request import Request

import orjson
import typer

from signals.cli.core_client import address, answer_of, load_environment, variable
from signals.errors import DependencyUnavailable

TRIES: Final = 4
PAUSE_S: Final = 2.0  # guess: a replica is replaced meanwhile; a job in CI waits six seconds at most


class ReportedStatus(StrEnum):
    """How the deploy ended."""

    SUCCESS = "success"
    FAILURE = "failure"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(deploy)


def deploy(
    release: Annotated[str, typer.Option(help="Version, tag or commit, as the clients name it.")],
    env: Annotated[str, typer.Option(help="Environment, like production or staging.")] = "production",
    service: Annotated[str | None, typer.Option(help="Part of the product that was deployed.")] = None,
    previous: Annotated[str | None, typer.Option(help="Release that this one replaces.")] = None,
    by: Annotated[str | None, typer.Option(help="Person or job that deploys.")] = None,
    url: Annotated[str | None, typer.Option(help="Page about the deploy, for people.")] = None,
    status: Annotated[ReportedStatus, typer.Option(help="How it ended.")] = ReportedStatus.SUCCESS,
    deploy_id: Annotated[
        str | None, typer.Option("--id", help="Tells two deploys of one release within an hour apart.")
    ] = None,
) -> None:
    """Report a deploy from CI, so that incidents name the release. It may be repeated.

    Reads INGEST_API_URL and PROJECT_API_KEY.
    """
    load_environment()
    hook = {"release": release, "environment": env, "status": status.value}
    further = {"service": service, "previous": previous, "by": by, "url": url, "id": deploy_id}
    hook |= {name: value for name, value in further.items() if value}
    request = Request(  # noqa: S310  # `address` checks it
        address("INGEST_API_URL", "/v1/events/deploys"),
        data=orjson.dumps(hook),
        headers={
            "Authorization": f"Bearer {variable('PROJECT_API_KEY')}",
            "Content-Type": "application/json",
        },
    )
    (event_id,) = _sent(request)["event_ids"]
    print(f"Reported: {release} in {env} ({status.value}), event {event_id}.")


def _sent(request: Request) -> dict[str, list[str]]:
    """Send, and again while the server is away: the same hook has the same id."""
    for left in reversed(range(TRIES)):
        try:
            answer: dict[str, list[str]] = answer_of(request, "ingest-api", "INGEST_API_URL").body
        except DependencyUnavailable:
            if not left:
                raise
            time.sleep(PAUSE_S)
        else:
            return answer
    raise AssertionError("the last try returns or raises")
