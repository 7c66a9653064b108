"""The error families that callers act on; anything else crashes loudly and is restarted.

The third family, `shared_types.InvalidEvent` (never retry), belongs to the contract.
"""


class DependencyUnavailable(Exception):  # noqa: N818  # reads as the state it names
    """A server we rest on does not answer: do not commit, back off, try again."""

    def __init__(self, dependency: str, reason: str) -> None:
        super().__init__(f"{dependency} is unavailable: {reason}")
        self.dependency = dependency
        self.reason = reason


class DependencyTimedOut(DependencyUnavailable):
    """A server took a request and did not answer in time: it may have done the work, or be at it still."""


class Fenced(Exception):  # noqa: N818
    """Another process moved the offset or took the lease: drop the result and start from the stored state."""


class SettingsError(Exception):
    """An environment variable is missing or wrong; the text names it and says what to set."""


class MigrationFailed(Exception):  # noqa: N818  # reads as the state it names
    """PostgreSQL refused a migration and took it back: other code must take its place."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"migration {name} failed and changed nothing ({reason}); processes that run go on: "
            "put corrected or former code in place and try again"
        )
        self.name = name


class TooManyDeadLetters(Exception):  # noqa: N818  # reads as the state it names
    """Most of a partition's newest records are broken: stop and keep the offset until a person decides."""

    def __init__(self, partition: int, *, dead: int, newest: int, max_share: float) -> None:
        super().__init__(
            f"partition {partition} is stopped: {dead} of its newest {newest} records cannot be handled, "
            f"SIGNALS_DLQ_MAX_SHARE allows {max_share:.0%}. Mend what wrote them, or this release; to set "
            "them aside all the same, restart with SIGNALS_DLQ_MAX_SHARE=1"
        )
        self.partition = partition
