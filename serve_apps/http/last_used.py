"""Writes when keys were last used, now and then, for as long as an application lives."""

from contextlib import AbstractAsyncContextManager
from typing import Final

from serve_apps.http.flushing import flushed
from signals.services.access.authentication import Authenticating

FLUSH_EVERY_S: Final = 30.0  # guess: how exact last_used_at is; one statement a replica


def last_used_written(authenticating: Authenticating) -> AbstractAsyncContextManager[None]:
    """Flush `last_used_at` every `FLUSH_EVERY_S` seconds inside the block."""
    return flushed(authenticating.flush_last_used, every_s=FLUSH_EVERY_S, what="last_used_at")
