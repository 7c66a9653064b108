"""Records a run of the demo as a picture: `python -m docs.writers.picture`.

It runs `make demo` in a terminal of its own, keeps the lines that tell the story, and draws them with rich.
Everything that it starts stays running, as after `make demo`; left-out lines are marked.
"""

import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PICTURE: Final = Path(__file__).parents[1] / "assets" / "demo.svg"
COLUMNS: Final = 104  # fits a README's column with letters that can be read
COMMAND: Final = ("make", "--no-print-directory", "demo")
LEFT_OUT: Final = "   …"
MAX_EVIDENCE: Final = 4  # lines
MAX_MESSAGE: Final = 4  # lines
SIGN_IN: Final = re.compile(r"(/sign-in#)[A-Za-z0-9_-]+")
"""The one-time link to the console, which no picture shows."""
STYLES: Final = (
    (r"^\$ ", "bold green"),
    (r"^\d\. ", "bold cyan"),
    (r"^\S+ on \S+ in \S+: ", "bold red"),
    (r"^[▁▂▃▄▅▆▇█]+$", "red"),
    (r"^(likely causes|evidence|next steps)$", "bold"),
    (r"^Done: ", "bold green"),
)
# rich's own, without the fonts that it would load from another host
SVG: Final = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
    <style>
    .{unique_id}-matrix {{
        font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
        font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width;
    }}
    .{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: system-ui, sans-serif; }}
    {styles}
    </style>
    <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
    </clipPath>
    {lines}
    </defs>
    {chrome}
    <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
    </g>
</svg>
"""


def run_in_terminal(command: tuple[str, ...], columns: int) -> str:
    """Run a command on a terminal without colours or cursor movement, and return what it wrote.

    Raises:
        SystemExit: when the command fails.
    """
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
        os.environ.update(TERM="dumb", COLUMNS=str(columns), LINES="60")
        os.execvp(command[0], command)  # noqa: S606  # the terminal is the point
    written = b""
    while chunk := _read(terminal):
        written += chunk
    if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit(f"{' '.join(command)} ended with {code}:\n{written.decode(errors='replace')}")
    return written.decode().replace("\r\n", "\n")


def story(written: str) -> list[str]:
    """Keep the steps, the incident's head and chart, and the beginnings of its summary and its message."""
    lines = [SIGN_IN.sub(rf"\1{LEFT_OUT.strip()}", line.rstrip()) for line in written.splitlines()]
    start = next(number for number, line in enumerate(lines) if line.startswith("1. "))
    kept: list[str] = []
    for paragraph in re.split(r"\n{2,}", "\n".join(lines[start:])):
        if shortened := _shortened(paragraph.splitlines()):
            kept += [*shortened, ""]
    return kept[:-1]


def draw(lines: list[str], title: str) -> str:
    """Return the picture."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), highlight=False)
    for line in lines:
        style = next((style for pattern, style in STYLES if re.search(pattern, line)), "")
        console.print(Text(line, style=style), soft_wrap=True)
    return console.export_svg(title=title, theme=MONOKAI, code_format=SVG, unique_id="demo")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # how Linux says that the other side is closed
        return b""


def _shortened(paragraph: list[str]) -> list[str]:
    if paragraph[0].startswith("2. "):
        counted = next(line for line in paragraph if "accepted" in line and "│" in line)
        number = counted.strip("│ ").split()[-1]
        return [paragraph[0], f"   {number} events accepted"]
    if "representative events" in paragraph[0] or paragraph[0].startswith("Where to look next"):
        return []
    if paragraph[0].startswith("webhook "):
        return [*paragraph[:MAX_MESSAGE], LEFT_OUT]
    if "evidence" in paragraph:
        end = paragraph.index("evidence") + 1 + MAX_EVIDENCE
        return [*paragraph[:end], LEFT_OUT]
    if paragraph[0].startswith("Done: "):
        return [paragraph[0].partition(" Where")[0]]
    return paragraph


if __name__ == "__main__":
    PICTURE.write_text(draw(["$ make demo", *story(run_in_terminal(COMMAND, COLUMNS))], "make demo"))
