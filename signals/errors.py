"""The error families that callers act on; anything else crashes loudly and is restarted.

The third family, `shared_types.InvalidEvent` (never retry), belongs to the contract.
"""


class DependencyUnavailable(Exception):  # noqa: N818  # reads as the state it names
    """A server we rest on does not answer: do not commit, back off, try again."""

    def __init__(self, dependency: str, reason: str) -> None:
        super().__init__(f"{dependency} is unavailable: {reason}")
        self.dependency = dependency
        self.reason = reason


class Fenced(Exception):  # noqa: N818
    """Somebody else moved the offset or took the lease: drop the result and start from what is stored."""


class SettingsError(Exception):
    """An environment variable is missing or wrong; the text names it and says what to set."""
