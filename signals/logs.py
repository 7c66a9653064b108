"""How we log: one JSON line a decision, a constant message, ids as fields; never payloads, keys or PEM."""

import logging
import time
import traceback
from typing import Final

import structlog
from structlog.typing import ExcInfo, Processor

from signals.errors import DependencyUnavailable, Fenced, SettingsError, TooManyDeadLetters
from signals.settings import RuntimeSettings

OURS: Final = (DependencyUnavailable, Fenced, SettingsError, TooManyDeadLetters, OSError)
"""Whose texts are known to hold no data: our own, and the operating system's."""
LIBRARIES: Final = ("psycopg.pool",)
"""Loggers of libraries whose warnings matter: a pool that cannot reconnect."""
REPEAT_AFTER_S: Final = 60.0  # a pool tries again every second or so


def without_data(exc_info: ExcInfo) -> str:
    """Tell an exception and its causes by types and frames.

    Texts of others may quote what they worked on: a row in PostgreSQL's DETAIL, a key, a rejected value.
    """
    causes: list[str] = []
    seen: set[int] = set()
    error: BaseException | None = exc_info[1]
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        causes.insert(0, "".join(traceback.format_tb(error.__traceback__)) + _name(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\nwhich led to:\n\n".join(causes)


def _name(error: BaseException) -> str:
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    if isinstance(error, OURS):
        return f"{kind}: {str(error).partition(chr(10))[0]}"
    sqlstate = getattr(error, "sqlstate", None)
    return f"{kind} (SQLSTATE {sqlstate})" if sqlstate else kind


PROCESSORS: Final[list[Processor]] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    structlog.processors.ExceptionRenderer(without_data),
    structlog.processors.JSONRenderer(),
]
"""One list for every `configure_logs`: a logger keeps the list of its first line for the process's life."""


def configure_logs() -> None:
    """Set structlog up for this process; called once at each entry point."""
    level = getattr(logging, RuntimeSettings.from_env().log_level.upper())
    structlog.configure(
        processors=PROCESSORS,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [_LibraryHandler()], False


class _LibraryHandler(logging.Handler):
    """Passes a library's warnings on as structured lines, each text at most once a minute."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._logged_at: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Log the first line of the record, which names the server and the fault."""
        text, now = record.getMessage().partition("\n")[0], time.monotonic()
        if now - self._logged_at.get(text, -REPEAT_AFTER_S) < REPEAT_AFTER_S:
            return
        self._logged_at = {key: at for key, at in self._logged_at.items() if now - at < REPEAT_AFTER_S}
        self._logged_at[text] = now
        structlog.get_logger(record.name).warning("a library warns", library=record.name, reason=text)
