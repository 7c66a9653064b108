"""The live line on standard error: redrawn on a terminal, a plain line every few seconds elsewhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from producers.tally import SendTally

_REDRAWS_PER_SECOND: Final = 4
_PLAIN_EVERY_S: Final = 5.0


@asynccontextmanager
async def shown_progress(tally: SendTally) -> AsyncIterator[None]:
    """Print the progress line while the block runs."""
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        with Live(
            get_renderable=lambda: Text(progress_line(tally), no_wrap=True),
            console=console,
            refresh_per_second=_REDRAWS_PER_SECOND,
            transient=True,
        ):
            yield
        return
    lines = asyncio.create_task(_print_lines(console, tally))
    try:
        yield
    finally:
        lines.cancel()


async def _print_lines(console: Console, tally: SendTally) -> None:
    while True:
        await asyncio.sleep(_PLAIN_EVERY_S)
        console.print(progress_line(tally), soft_wrap=True)


def progress_line(tally: SendTally) -> str:
    """Return one line: counts, rate, latencies, and the trouble if there is one."""
    p50, p99 = tally.latency_ms(0.50), tally.latency_ms(0.99)
    parts = [
        f"{tally.duration_s:6.1f} s",
        f"sent {tally.sent}",
        f"accepted {tally.accepted}",
        f"rejected {tally.rejected}",
        f"{tally.rate:.0f}/s",
    ]
    if p50 is not None:
        parts.append(f"p50 {p50} ms  p99 {p99} ms")
    if tally.trouble is not None:
        parts.append(f"retrying ({tally.retries}): {tally.trouble}")
    return "  ".join(parts)
