"""Repeats a duty beside a consumer's loop, in a thread of its own: it may take longer than a step."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from signals.errors import DependencyUnavailable

log = structlog.get_logger(__name__)


@contextmanager
def repeated(duty: Callable[[], object], *, every_s: float, what: str) -> Iterator[None]:
    """Do it now and every `every_s` seconds until the end of the block; `what` is told when it cannot be."""
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            try:
                duty()
            except DependencyUnavailable as error:
                log.warning(what, reason=str(error))
            except BaseException:
                log.exception("periodic duty crashed", duty=what)
                os._exit(1)  # as the consumer's own loop does: Ray starts the actor anew
            done.wait(every_s)

    threading.Thread(target=run, name=what, daemon=True).start()
    try:
        yield
    finally:
        done.set()  # not joined: a call that is under way does no harm
