"""Shows the progress of downloads: bars on a terminal, one line a server elsewhere."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import rich.progress
from rich.console import Console

from signals.local.errors import GivenUpError


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One server's download."""

    advance: Callable[[int], None]

    @contextmanager
    def of_file(self, _filename: str, _size_bytes: int) -> Iterator[Callable[[int], None]]:
        """The shape in which jgo reports a file: it calls the yielded function with bytes received."""
        yield self.advance


@dataclass(slots=True, kw_only=True)
class DownloadProgress:
    """Shows downloads of several servers at once; safe to use from several threads."""

    console: Console
    _given_up: threading.Event = field(default_factory=threading.Event, init=False, repr=False)
    _bars: rich.progress.Progress | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._bars = rich.progress.Progress(
                rich.progress.TextColumn("{task.description:<11}"),
                rich.progress.BarColumn(),
                rich.progress.DownloadColumn(),
                rich.progress.TransferSpeedColumn(),
                console=self.console,
                transient=True,
            )
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def give_up(self) -> None:
        """Make every running download raise at its next bytes: the start has failed elsewhere."""
        self._given_up.set()

    @contextmanager
    def download(self, title: str, total_bytes: int) -> Iterator[Download]:
        """Announce a download of so many bytes and show how far it is."""
        self.console.print(f"{title}: downloading {total_bytes / 1e6:.1f} MB once", highlight=False)
        bars = self._bars
        task = bars.add_task(title, total=total_bytes) if bars else None

        def advance(received_bytes: int) -> None:
            if self._given_up.is_set():
                raise GivenUpError(f"{title}: download given up")
            if bars is not None and task is not None:
                bars.advance(task, received_bytes)

        yield Download(advance=advance)
