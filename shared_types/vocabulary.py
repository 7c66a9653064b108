"""The closed word lists of the envelope. Source: docs/requirements.md, R12."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Self

_ENVIRONMENTS: Final[Mapping[str, str]] = {
    "production": "prod",
    "prd": "prod",
    "stage": "staging",
    "stg": "staging",
    "development": "dev",
    "develop": "dev",
}
_SEVERITIES: Final[Mapping[str, str]] = {
    "trace": "debug",
    "verbose": "debug",
    "information": "info",
    "informational": "info",
    "notice": "info",
    "warning": "warn",
    "err": "error",
    "crit": "critical",
    "fatal": "critical",
    "alert": "critical",
    "emerg": "critical",
    "emergency": "critical",
}


class _Word(StrEnum):
    """A word that is accepted in any letter case, also by its other names, and always kept in lower case."""

    @classmethod
    def other_names(cls) -> Mapping[str, str]:
        """Return what producers write instead, in lower case, with the word that it means."""
        return {}

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        lowered = value.lower() if isinstance(value, str) else ""
        wanted = (lowered, cls.other_names().get(lowered))  # a word itself comes before another's name
        return next((word for name in wanted for word in cls if word.value == name), None)


class Environment(_Word):
    """Where the event happened; production, prd, stage, stg, development and develop are understood."""

    PROD = "prod"
    STAGING = "staging"
    DEV = "dev"

    @classmethod
    def other_names(cls) -> Mapping[str, str]:
        """Return the names that deployment tools use."""
        return _ENVIRONMENTS


class EventType(_Word):
    """The kind of signal; `error` and `signup` are counted."""

    ERROR = "error"
    HTTP_REQUEST = "http_request"
    SIGNUP = "signup"
    DEPLOY = "deploy"
    FEEDBACK = "feedback"
    CUSTOM = "custom"


class Severity(_Word):
    """How bad the producer says it is; the levels of syslog and of common loggers are understood."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    CRITICAL = "critical"

    @classmethod
    def other_names(cls) -> Mapping[str, str]:
        """Return the levels of syslog (RFC 5424), OpenTelemetry, log4j, Python and .NET."""
        return _SEVERITIES
