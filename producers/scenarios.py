"""The four modes of the load generator. Pure: same seed and same start, same events.

Source: docs/requirements.md, R36; the modes are measured against rules A and B (R24, R25).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain
from random import Random
from typing import Final

from producers.plan import Planned
from producers.shop import PRICE_MISSING, UPSTREAM_TIMEOUT, Shop
from producers.traffic import (
    Recurring,
    TrafficSpan,
    TrafficSurge,
    background_errors,
    once,
    signups,
    traffic,
)
from shared_types import Environment

# One a minute: an hour's baseline of 15 per 15 minutes, below Rule B's 40 even if two runs overlap.
SIGNUP_EVERY_S: Final = 60.0
# Eight a minute: a baseline of 120, three times what Rule B asks for.
BUSY_SIGNUP_EVERY_S: Final = 7.5
DROP_HISTORY_S: Final = 95 * 60.0
DROP_SILENCE_S: Final = 15 * 60.0  # Rule B's window
DEPLOY_HISTORY_S: Final = 60 * 60.0
CANARY_BEFORE_S: Final = 4 * 60.0
HISTORY_RATE: Final = 0.5  # events per second: some thousand events of history at any --rate


class Mode(StrEnum):
    """Kind of the generated traffic."""

    NORMAL = "normal"
    SPIKE_ERRORS = "spike_errors"
    DROP_SIGNUPS = "drop_signups"
    DEPLOY_THEN_SPIKE = "deploy_then_spike"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The requested load: `rate` events per second for `duration_s`, from `start` on."""

    start: datetime
    duration_s: float
    rate: float
    seed: int


def open_shop(start: datetime, seed: int) -> Shop:
    """Return a shop whose contents depend on the seed, and whose event ids also on the start.

    A second run with the same seed is then a second run, not a repetition that would be deduplicated.
    """
    return Shop(
        start=start,
        chance=Random(seed),
        ids=Random(f"{seed} {start.isoformat()}"),
        customers=Random(f"{seed} customers"),
        release=f"{start - timedelta(days=1):%Y.%m.%d}.2",
    )


def plan(mode: Mode, load: Load) -> Iterator[Planned]:
    """Return the events of a run in the order of their instants, history first."""
    return _MODES[mode](open_shop(load.start, load.seed), load)


def _live(load: Load) -> TrafficSpan:
    return TrafficSpan(begin_s=0.0, end_s=load.duration_s, rate=load.rate)


def _everyday(shop: Shop) -> list[Recurring]:
    return [
        *background_errors(shop),
        signups(shop, SIGNUP_EVERY_S),
        signups(shop, 2 * SIGNUP_EVERY_S, environment=Environment.STAGING),
    ]


def _normal(shop: Shop, load: Load) -> Iterator[Planned]:
    return traffic(shop, _live(load), _everyday(shop))


def _spike_errors(shop: Shop, load: Load) -> Iterator[Planned]:
    surge = TrafficSurge(
        begin_s=min(5.0, 0.15 * load.duration_s),
        make=lambda at_s: shop.error(at_s, UPSTREAM_TIMEOUT, Environment.PROD),
    )
    return traffic(shop, _live(load), _everyday(shop), surge)


def _drop_signups(shop: Shop, load: Load) -> Iterator[Planned]:
    busy = signups(shop, BUSY_SIGNUP_EVERY_S, end_s=-DROP_SILENCE_S)
    past = TrafficSpan(begin_s=-DROP_HISTORY_S, end_s=0.0, rate=HISTORY_RATE)
    return chain(
        traffic(shop, past, [*background_errors(shop), busy]),
        traffic(shop, _live(load), background_errors(shop)),
    )


def _deploy_then_spike(shop: Shop, load: Load) -> Iterator[Planned]:
    """An hour of working traffic, a canary, and four minutes later its carts fail: the cause can be found."""
    past = TrafficSpan(begin_s=-DEPLOY_HISTORY_S, end_s=0.0, rate=HISTORY_RATE)
    release = f"{load.start:%Y.%m.%d}.1"
    deploy = once(-CANARY_BEFORE_S, lambda at_s: shop.deploy(at_s, release, canary=True))
    surge = TrafficSurge(
        begin_s=min(5.0, 0.15 * load.duration_s),
        make=lambda at_s: shop.error(at_s, PRICE_MISSING, Environment.PROD, shop.canary),
    )
    return chain(
        traffic(shop, past, [*background_errors(shop), deploy]),
        traffic(shop, _live(load), _everyday(shop), surge),
    )


_MODES: Final[dict[Mode, Callable[[Shop, Load], Iterator[Planned]]]] = {
    Mode.NORMAL: _normal,
    Mode.SPIKE_ERRORS: _spike_errors,
    Mode.DROP_SIGNUPS: _drop_signups,
    Mode.DEPLOY_THEN_SPIKE: _deploy_then_spike,
}
