"""Errors of the local servers, each in one sentence with its remedy."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ADVICE: Final = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EROFS: "make it writable",
    errno.EACCES: "make it writable, and check who owns it",
}
PUT_BACK: Final = "put corrected or former code in place, then `signals up`"
"""The remedy for new code that does not run in the place of the former."""


class LocalStackError(Exception):
    """The local stack cannot do what was asked; the text is one sentence that says what to do."""


class NotReadyError(LocalStackError):
    """A part runs, but is late: it goes on starting, and a second `up` waits for it again."""


class PortTakenError(LocalStackError):
    """Another program took the port of a server while it started; a new start chooses another port."""


class DiedError(LocalStackError):
    """A process died while it started; on a starved machine a second start may succeed."""


class GivenUpError(LocalStackError):
    """A consequence, not a cause: this part was abandoned because another one had failed."""


@contextmanager
def os_errors_reported(folder: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a sentence; name `folder` when nothing closer is known."""
    try:
        yield
    except OSError as error:
        advice = ADVICE.get(error.errno or 0, "check who owns it")
        place = error.filename or folder
        raise LocalStackError(f"{place}: {error.strerror or error}: {advice} and try again") from error
