"""The arithmetic of a comparison: intervals of shares, attributable fractions, evidence in nats."""

import math
from dataclasses import dataclass
from typing import Final

Z: Final = 1.96  # of a 95 % interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """How many failing and working requests lie inside and outside a group."""

    failing_in: int
    failing_out: int
    working_in: int
    working_out: int

    @property
    def failing(self) -> int:
        """All failing requests."""
        return self.failing_in + self.failing_out

    @property
    def coverage(self) -> float:
        """Share of the failing requests that lies inside."""
        return self.failing_in / self.failing if self.failing else 0.0

    @property
    def rate_in(self) -> float:
        """Share of the requests inside that fail."""
        inside = self.failing_in + self.working_in
        return self.failing_in / inside if inside else 0.0

    @property
    def rate_out(self) -> float:
        """Share of the requests outside that fail."""
        outside = self.failing_out + self.working_out
        return self.failing_out / outside if outside else 0.0

    @property
    def lift(self) -> float | None:
        """Rate inside over rate outside; None when nothing fails outside."""
        return self.rate_in / self.rate_out if self.rate_out else None

    @property
    def gain(self) -> float:
        """Log-likelihood in nats that two rates gain over one; negative when less fails inside."""
        inside, outside = self.failing_in + self.working_in, self.failing_out + self.working_out
        gained = (
            _likelihood(self.failing_in, inside)
            + _likelihood(self.failing_out, outside)
            - _likelihood(self.failing, inside + outside)
        )
        return gained if self.rate_in > self.rate_out else -gained


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceInterval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(hits: int, of: int) -> ConfidenceInterval:
    """Return the share `hits / of`. Source: Wilson 1927; without observations it is 0 to 1."""
    if of <= 0:
        return ConfidenceInterval(value=0.0, low=0.0, high=1.0)
    share = hits / of
    middle = share + Z * Z / (2 * of)
    half = Z * math.sqrt(share * (1 - share) / of + Z * Z / (4 * of * of))
    scale = 1 + Z * Z / of
    return ConfidenceInterval(
        value=share, low=max(0.0, (middle - half) / scale), high=min(1.0, (middle + half) / scale)
    )


def attributable(cells: Cells) -> ConfidenceInterval:
    """Return the share of failures that would be gone if the inside failed like the outside.

    The population attributable fraction, coverage x (1 - 1 / relative risk). Source: Miettinen 1974. Its
    interval combines the ends of the Wilson intervals of coverage and of both rates, so it is a wide one.
    """
    coverage = wilson(cells.failing_in, cells.failing)
    inside = wilson(cells.failing_in, cells.failing_in + cells.working_in)
    outside = wilson(cells.failing_out, cells.failing_out + cells.working_out)

    def fraction(share: float, rate_in: float, rate_out: float) -> float:
        return share * max(0.0, 1 - rate_out / rate_in) if rate_in > 0 else 0.0

    return ConfidenceInterval(
        value=fraction(cells.coverage, cells.rate_in, cells.rate_out),
        low=fraction(coverage.low, inside.low, outside.high),
        high=fraction(coverage.high, inside.high, outside.low),
    )


def _likelihood(hits: int, of: int) -> float:
    if hits <= 0 or hits >= of:
        return 0.0
    return hits * math.log(hits / of) + (of - hits) * math.log(1 - hits / of)
