"""Lays the shop's events on a time axis: a steady rate, recurring events, and one surge.

Recurring events keep their absolute frequency at any rate, so that only a surge, never a high
rate, opens an incident.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

import orjson

from producers.plan import Planned
from producers.shop import (
    CARD_DECLINED,
    SEARCH_TIMEOUT,
    SESSION_EXPIRED,
    UPSTREAM_TIMEOUT,
    Shop,
    ShopEvent,
    ShopFailure,
)
from shared_types import Environment

MakeEvent = Callable[[float], ShopEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurring:
    """An event every `every_s` seconds from `begin_s` on, each interval varied by half either way."""

    every_s: float
    make: MakeEvent
    begin_s: float = float("-inf")
    end_s: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficSurge:
    """From `begin_s` on, this `share` of all events comes from `make`."""

    begin_s: float
    make: MakeEvent
    share: float = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficSpan:
    """`rate` events per second from `begin_s` to `end_s`, seconds after the shop's start."""

    begin_s: float
    end_s: float
    rate: float


# At most 10 in 5 minutes for each fingerprint: far below the 30 of Rule A even if two runs overlap.
_BACKGROUND: Final[Sequence[tuple[ShopFailure, Environment, float]]] = (
    (CARD_DECLINED, Environment.PROD, 75),
    (SESSION_EXPIRED, Environment.PROD, 110),
    (SEARCH_TIMEOUT, Environment.PROD, 140),
    (UPSTREAM_TIMEOUT, Environment.PROD, 240),
    (UPSTREAM_TIMEOUT, Environment.STAGING, 180),
    (CARD_DECLINED, Environment.DEV, 300),
)


def background_errors(shop: Shop) -> list[Recurring]:
    """Return the errors of everyday traffic."""

    def recur(failure: ShopFailure, environment: Environment, every_s: float) -> Recurring:
        return Recurring(every_s=every_s, make=lambda at_s: shop.error(at_s, failure, environment))

    return [recur(*entry) for entry in _BACKGROUND]


def signups(
    shop: Shop, every_s: float, *, environment: Environment = Environment.PROD, end_s: float = float("inf")
) -> Recurring:
    """Return new customers at a steady pace."""
    return Recurring(every_s=every_s, end_s=end_s, make=lambda at_s: shop.signup(at_s, environment))


def once(at_s: float, make: MakeEvent) -> Recurring:
    """Return a single event at `at_s` or right after it."""
    return Recurring(every_s=float("inf"), begin_s=at_s, make=make)


def traffic(
    shop: Shop, span: TrafficSpan, recurring: Sequence[Recurring], surge: TrafficSurge | None = None
) -> Iterator[Planned]:
    """Yield the events of `span` in order; recurring events and the surge take places of visits."""
    due = [(_first(source, span, shop.chance), order) for order, source in enumerate(recurring)]
    heapq.heapify(due)
    for place in range(round((span.end_s - span.begin_s) * span.rate)):
        at_s = span.begin_s + place / span.rate
        if surge is not None and at_s >= surge.begin_s and shop.chance.random() < surge.share:
            event = surge.make(at_s)
        elif due and due[0][0] <= at_s:
            order = due[0][1]
            event = recurring[order].make(at_s)
            heapq.heapreplace(due, (_next(recurring[order], at_s, shop.chance), order))
        else:
            event = shop.visit(at_s)
        yield Planned(at_s, orjson.dumps(event))


def _first(source: Recurring, span: TrafficSpan, chance: Random) -> float:
    begin_s = max(source.begin_s, span.begin_s)
    return begin_s if source.every_s == float("inf") else begin_s + source.every_s * chance.random()


def _next(source: Recurring, at_s: float, chance: Random) -> float:
    next_s = at_s + source.every_s * chance.uniform(0.5, 1.5)
    return next_s if next_s < source.end_s else float("inf")
