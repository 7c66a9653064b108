"""Steps a consumer until it owns every partition, and until nothing waits for it."""

from typing import Final, Protocol

from tests.support.waiting import until

PARTITIONS: Final = 3  # of the raw topic: the fixture `kafka`
WITHIN_S: Final = 90.0  # a member that was not seen leaving keeps its partitions for six seconds


class SteppedSession(Protocol):
    """A consumer's session as tests use it."""

    def step(self, timeout_s: float) -> int:
        """Handle what is there; return how many records are done with."""
        ...

    def owned(self) -> list[int]:
        """Return the partitions owned now."""
        ...

    def lag(self) -> int:
        """Return how many records of the owned partitions wait."""
        ...


def own_all(session: SteppedSession) -> None:
    """Step until the session owns every partition: its group may give them one after the other."""
    until(lambda: session.step(0.1) >= 0 and _owns_all(session), within_s=WITHIN_S)


def drain(session: SteppedSession) -> None:
    """Step until nothing waits in any partition; those that are not owned yet have no lag."""
    until(lambda: session.step(0.1) == 0 and _owns_all(session) and session.lag() == 0, within_s=WITHIN_S)


def _owns_all(session: SteppedSession) -> bool:
    return len(session.owned()) == PARTITIONS
