"""The closed word lists of the envelope. Source: docs/requirements.md, R12."""

from enum import StrEnum
from typing import Self


class _Word(StrEnum):
    """A word that is accepted in any letter case and always kept in lower case."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        lowered = value.lower() if isinstance(value, str) else None
        return next((word for word in cls if word.value == lowered), None)


class Environment(_Word):
    """Where the event happened."""

    PROD = "prod"
    STAGING = "staging"
    DEV = "dev"


class EventType(_Word):
    """The kind of signal; `error` and `signup` are counted."""

    ERROR = "error"
    HTTP_REQUEST = "http_request"
    SIGNUP = "signup"
    DEPLOY = "deploy"
    FEEDBACK = "feedback"
    CUSTOM = "custom"


class Severity(_Word):
    """How bad the producer says it is."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    CRITICAL = "critical"
