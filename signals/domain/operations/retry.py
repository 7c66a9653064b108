"""When a failed job runs again, and when it is given up.

The exact part and the jittered part are apart; chance is an argument.
Source: docs/requirements.md, R29 (base 5 s, cap 120 s, attempts 1 to 3).
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

BACKOFF_BASE: Final = timedelta(seconds=5)  # requirement R29
BACKOFF_CAP: Final = timedelta(seconds=120)  # requirement R29
RETRY_AFTER_CAP: Final = timedelta(hours=1)  # guess: a later summary helps no one on call


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailure:
    """Why one attempt failed. `permanent` failures cannot heal without a change of configuration."""

    reason: str
    permanent: bool = False
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDecision:
    """The retry to store: the attempts so far and the wait, None when the job has failed for good."""

    attempt_count: int
    delay: timedelta | None


def backoff(attempt: int) -> timedelta:
    """Return the longest wait after failed attempt `attempt` (1, 2, ...): 5 s, 10 s, 20 s ... 120 s."""
    doublings = min(attempt - 1, 10)  # the cap is reached after five; more would only overflow
    return min(BACKOFF_BASE * (1 << doublings), BACKOFF_CAP)


def jittered(longest: timedelta, chance: float) -> timedelta:
    """Spread waits evenly over (0, longest] ("full jitter"); `chance` is in [0, 1).

    Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    return longest * (1 - chance)


def decide(failure: JobFailure, *, attempt_count: int, max_attempts: int, chance: float) -> RetryDecision:
    """Count the attempt that just failed and say whether and when the next one may run.

    `attempt_count` is the number of attempts that failed before. A server's Retry-After is a lower
    bound of the wait.
    """
    failed = attempt_count + 1
    if failure.permanent or failed >= max_attempts:
        return RetryDecision(attempt_count=failed, delay=None)
    at_least = min(failure.retry_after or timedelta(), RETRY_AFTER_CAP)
    return RetryDecision(attempt_count=failed, delay=max(jittered(backoff(failed), chance), at_least))
