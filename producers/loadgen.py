"""`signals-loadgen`: generate a scenario's traffic and send it to ingest-api."""

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from producers.command import DEFAULT_URL, KEY_HELP, carry_out, endpoint, parse_duration
from producers.scenarios import Load, Mode, plan
from producers.sender import Pace
from producers.tally import SendTally

_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@_app.command(epilog=KEY_HELP)
def loadgen(
    mode: Annotated[Mode, typer.Argument(help="What the traffic shows.")] = Mode.NORMAL,
    rate: Annotated[float, typer.Option(min=0.1, help="Events per second; 1 or more opens incidents.")] = 50,
    duration: Annotated[
        float, typer.Option(parser=parse_duration, metavar="TIME", help="Like 90, 90s, 10m or 1h.")
    ] = "60s",  # type: ignore[assignment]  # the parser makes it seconds
    concurrency: Annotated[int, typer.Option(min=1, help="Requests under way at once.")] = 8,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same events (ids differ per run); fresh when absent.")
    ] = None,
    index: Annotated[
        int, typer.Option(envvar="JOB_COMPLETION_INDEX", min=0, help="Added to a given seed: one of several.")
    ] = 0,
    batch_size: Annotated[int, typer.Option(min=1, max=1000, help="Events per request at most.")] = 200,
    ingest_url: Annotated[
        str, typer.Option(envvar="INGEST_API_URL", help="Base URL of ingest-api.")
    ] = DEFAULT_URL,
    report: Annotated[Path | None, typer.Option(help="Write a JSON report to this file.")] = None,
) -> None:
    """Send a synthetic shop's events.

    normal: everyday traffic, no incident. spike_errors: one error of /checkout in prod surges after a few
    seconds. drop_signups: an hour of lively signups is back-filled, then none comes. deploy_then_spike: a
    release is deployed, and an error of /cart that carries it surges.
    """
    target = endpoint(ingest_url)
    seed = secrets.randbelow(2**31) if seed is None else seed + index
    start = datetime.now(UTC)
    load = Load(start=start, duration_s=duration, rate=rate, seed=seed)
    run: dict[str, object] = {"mode": mode.value, "rate": rate, "seed": seed}
    run["started_at"] = start.isoformat(timespec="seconds")
    pace = Pace(concurrency=concurrency, batch_size=batch_size)
    carry_out(plan(mode, load), target, pace, tally=SendTally(), run=run, report=report)


def main() -> None:
    """Run the command line."""
    _app(prog_name="signals-loadgen")


if __name__ == "__main__":
    main()
