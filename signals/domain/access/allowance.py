"""What one replica may accept for one key without asking: events leased from the shared limits."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from signals.domain.access.limits import OUTAGE_PARTS, Exceeded, KeyLimits

LEFT_VALID_S: Final = 5.0  # guess: so long what another replica gives back is overlooked


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The present on both clocks: seconds that never run backwards, and the calendar."""

    monotonic_s: float
    at: datetime

    @property
    def today(self) -> date:
        """The UTC day."""
        return self.at.date()

    @property
    def until_midnight_s(self) -> float:
        """Seconds until the next UTC day begins."""
        midnight = datetime.combine(self.today + timedelta(days=1), time(), UTC)
        return (midnight - self.at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to lease: events of the rate, and events of the day beside those it owes already."""

    limits: KeyLimits
    rate: int
    day: date
    of_day: int
    owed: int


@dataclass(slots=True)
class Allowance:
    """Leased events; `take` accepts, refuses, or says that more must be leased."""

    limits: KeyLimits
    used_at: float = 0.0
    rate: int = 0
    of_day: int = 0
    owed: int = 0
    _day: date = field(default=date.min)
    _wanted: int = 0
    _closed_until: float = 0.0
    _left: int = 0
    _left_until: float = 0.0

    def take(self, count: int, now: Now) -> Exceeded | bool:
        """Take `count` events, all or none; False when more must be leased for an answer."""
        self.used_at = now.monotonic_s
        self._turn(now)
        refusal = self.closed(now) if self.rate < count else None
        if refusal or (refusal := self._quota_refusal(count, now)):
            return refusal
        if (self.limits.events_per_second and self.rate < count) or (
            self.limits.events_per_day and self.of_day < count
        ):
            self._wanted = max(self._wanted, count)
            return False
        self._spend(count)
        return True

    def closed(self, now: Now) -> Exceeded | None:
        """Return the refusal by the rate that meets whatever is not leased already."""
        wait_s = self._closed_until - now.monotonic_s
        if not self.limits.events_per_second or wait_s <= 0:
            return None
        allowed = self.limits.events_per_second
        return Exceeded(limit="events_per_second", allowed=allowed, retry_after_s=wait_s)

    def wish(self, now: Now) -> Wish:
        """Say what to lease for those who were told to wait."""
        self._turn(now)
        wanted, self._wanted = self._wanted, 0
        lacks_rate = self.limits.events_per_second and self.rate < wanted
        return Wish(
            limits=self.limits,
            rate=max(wanted - self.rate, self.limits.chunk) if lacks_rate else 0,
            day=self._day,
            of_day=max(0, wanted - self.of_day) if self.limits.events_per_day else 0,
            owed=self.owed,
        )

    def open_in(self, wait_s: float, now: Now) -> None:
        """Note that the shared bucket will have events in `wait_s`."""
        self._closed_until = now.monotonic_s + wait_s

    def leased(self, wish: Wish, of_day: int, used: int, now: Now) -> None:
        """Add what was leased; `used` is the day's shared count after it."""
        self.rate += wish.rate
        if wish.limits.events_per_day and wish.day == self._day:
            self.owed -= wish.owed
            self.of_day += of_day
            self._left = self.limits.events_per_day - used
            self._left_until = now.monotonic_s + LEFT_VALID_S

    def take_blindly(self, count: int, now: Now) -> Exceeded | bool:
        """Take while nobody can be asked: at the rate, and a tenth of the quota; False beyond that."""
        taken = self.take(count, now)
        if taken is not False:
            return taken
        if of_day := max(0, count - self.of_day) if self.limits.events_per_day else 0:
            if self.owed + of_day > self.limits.events_per_day // OUTAGE_PARTS:
                return False
            self.owed += of_day
            self.of_day += of_day
        if self.limits.events_per_second and self.rate < count:
            paced = max(count - self.rate, self.limits.chunk)
            self.rate += paced
            self.open_in(paced / self.limits.events_per_second, now)
        self._spend(count)
        return True

    def give_back(self, count: int) -> None:
        """Return what was taken for events that were not accepted in the end."""
        self._spend(-count)

    def change(self, limits: KeyLimits) -> None:
        """Go on with other limits; what was leased stays."""
        self.limits, self._closed_until, self._left_until = limits, 0.0, 0.0

    def settle(self, now: Now) -> int:
        """Let go of the day; return what its shared count lacks (owed) or has too much (leased)."""
        self._turn(now)
        lacking = self.owed - self.of_day
        self.owed = self.of_day = 0
        return lacking

    def _quota_refusal(self, count: int, now: Now) -> Exceeded | None:
        stale = now.monotonic_s >= self._left_until
        if not self.limits.events_per_day or stale or count <= self.of_day + self._left:
            return None
        allowed, wait_s = self.limits.events_per_day, now.until_midnight_s
        return Exceeded(limit="events_per_day", allowed=allowed, retry_after_s=wait_s)

    def _spend(self, count: int) -> None:
        if self.limits.events_per_second:
            self.rate -= count
        if self.limits.events_per_day:
            self.of_day -= count

    def _turn(self, now: Now) -> None:
        """Begin a new day with nothing leased of it."""
        if now.today != self._day:
            self._day, self.of_day, self.owed, self._left_until = now.today, 0, 0, 0.0
