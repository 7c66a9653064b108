"""How we log: one JSON line a decision, a constant message, ids as fields; never payloads, keys or PEM."""

import logging

import structlog

from signals.settings import RuntimeSettings


def configure_logs() -> None:
    """Set structlog up for this process; called once at each entry point."""
    level = getattr(logging, RuntimeSettings.from_env().log_level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
