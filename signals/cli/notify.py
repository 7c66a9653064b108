"""`signals notify inbox`: the receiving end of notifications, to try them without anybody's server."""

import threading
from typing import Annotated, Final

import typer
from rich.console import Console

from signals.cli.readable import console, plain
from signals.local.inbox import InboxMessage, open_inbox

HTTP_PORT: Final = 8025
SMTP_PORT: Final = 1025  # what such tools use elsewhere

app = typer.Typer(help="Try notifications on this machine.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="notify")


@app.command()
def inbox(
    http_port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any free one.")] = HTTP_PORT,
    smtp_port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any free one.")] = SMTP_PORT,
) -> None:
    """Listen on loopback for webhooks and mails, and print each message; Ctrl-C ends it."""
    out = console()
    with open_inbox(lambda message: show(out, message), http_port=http_port, smtp_port=smtp_port) as opened:
        out.print(f"Listening: {opened.url} and smtp://127.0.0.1:{opened.smtp_port}. Ctrl-C ends it.")
        out.print(f"signals destinations create-webhook inbox --url {opened.url} --everything")
        threading.Event().wait()


def show(out: Console, message: InboxMessage) -> None:
    """Print one message."""
    out.print(f"\n{message.way} {plain(message.key)}\n   {plain(message.title)}")
    for line in message.text.splitlines():
        out.print(f"   {plain(line)}")
