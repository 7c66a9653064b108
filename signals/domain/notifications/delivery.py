"""How one attempt to send a message ended, and when the next one may be made."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from signals.domain.operations.retry import jittered

BACKOFF_BASE: Final = timedelta(milliseconds=500)
BACKOFF_CAP: Final = timedelta(minutes=5)
RETRY_AFTER_CAP: Final = timedelta(hours=1)  # guess: a destination may not silence us for longer
NO_MAX_ATTEMPTS: Final = 1_000_000  # time bounds them: some 580 in a day
LOGGED_ATTEMPTS: Final = (
    20  # failed in a row, each with a line of the delivery log; later ones share the last
)
FALLBACK_AFTER: Final = 6  # failed attempts: about a quarter of a minute
DISABLED_AFTER_REFUSALS: Final = 5
DISABLED_AFTER: Final = timedelta(hours=24)
IN_A_ROW: Final = timedelta(hours=2)  # guess: failures further apart are two; longer than any Retry-After
GIVEN_UP_AFTER: Final = DISABLED_AFTER  # failures in a row: a message outlasts its destination by no attempt

DeliveryState = Literal["told", "retry", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryResult:
    """One attempt. `retry`: a later one may succeed; `refused`: only a change of the destination helps.

    `reference` is what the destination calls the message; `is_gone`: it says that it is closed for good.
    `is_uncertain`: it may have been told all the same, like when the answer was lost.
    """

    state: DeliveryState
    status: int | None = None
    error: str | None = None
    retry_after: timedelta | None = None
    reference: str | None = None
    is_gone: bool = False
    is_uncertain: bool = False


def retry_delay(failed_attempts: int, retry_after: timedelta | None, chance: float) -> timedelta:
    """Return the wait after failed attempt 1, 2, ...: full jitter below 0.5 s, 1 s, 2 s ... 5 minutes.

    What the destination asked for (`Retry-After`) is a lower bound. `chance` is in [0, 1).
    """
    longest = min(BACKOFF_BASE * (1 << min(failed_attempts - 1, 12)), BACKOFF_CAP)
    return max(jittered(longest, chance), min(retry_after or timedelta(), RETRY_AFTER_CAP))
