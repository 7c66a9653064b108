"""Traffic of a made-up insurer and the faults planted in it; every chance comes from a passed-in source.

A case is 78 minutes of ordinary traffic, then a fault. Traffic has a daily shape, noise, correlated
attributes (zone, country, currency; pod and zone), routine jobs, deploys, and errors that mean nothing.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import sin
from random import Random
from typing import Any, Final

TrafficEvent = dict[str, Any]
TrafficAttributes = dict[str, Any]
Chance = Callable[[TrafficAttributes, float], float]

START: Final = datetime(2026, 5, 5, 6, 30, tzinfo=UTC)
ONSET: Final = 78.0  # minutes; a baseline hour and the rule's window lie before it
END: Final = 94
ROUTE: Final = "/v2/quotes"
ROUTES: Final = {ROUTE: 46, "/v2/offers/{id}": 22, "/v2/contracts": 8, "/health": 4, "/v2/search": 20}
ZONES: Final = {"ams-a": 30, "ams-b": 26, "dal-a": 24, "dal-b": 20}
COUNTRIES: Final = {
    "ams": {"NL": 40, "BE": 25, "DE": 20, "PL": 15},
    "dal": {"US": 62, "MX": 26, "CA": 12},
}
CURRENCIES: Final = {
    "NL": "EUR",
    "BE": "EUR",
    "DE": "EUR",
    "PL": "PLN",
    "US": "USD",
    "MX": "MXN",
    "CA": "CAD",
}
DEVICES: Final = {"ios": 34, "android": 31, "web": 29, "kiosk": 6}
PLANS: Final = {"basic": 58, "plus": 30, "corporate": 12}
CLIENTS: Final = {"3.4.1": 38, "3.4.0": 27, "3.3.2": 18, "3.2.7": 10, "3.1.9": 7}
PAYERS: Final = {"invoice": 45, "visa": 38, "giropay": 17}
JOBS: Final = ("rates refreshed", "cache warmed", "session store compacted")
NOISE: Final = (
    ("BAD_INPUT", "field {w} is not valid", 422),
    ("RATING_TIMEOUT", "rating engine gave no answer in {n} ms", 504),
    ("UNEXPECTED", "something went wrong", 500),
    ("GONE", "offer {n} has expired", 410),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedFault:
    """Which requests fail, how often, and what they then say. `extra` is carried by failing events alone."""

    chance: Chance
    code: str
    message: str
    status: int = 500
    route: str = ROUTE
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A deploy or a custom event."""

    minute: float
    kind: str
    message: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One case's traffic. `rollout` is the share of the new release by minute."""

    faults: tuple[PlantedFault, ...] = ()
    requests_a_minute: float = 120.0
    old: str = "r812"
    new: str = "r813"
    rollout: Callable[[float], float] = lambda _: 0.0
    added: Callable[[Random], TrafficAttributes] | None = None
    added_a_minute: Callable[[float], float] = lambda _: 0.0
    markers: tuple[Marker, ...] = ()
    signups_a_minute: float = 5.0
    signup_kept: Chance = lambda *_: 1.0
    signup_channels: Mapping[str, int] = field(
        default_factory=lambda: {"seo": 34, "social": 31, "referral": 20, "events": 15}
    )
    changed: Callable[[Random, TrafficEvent, float], TrafficEvent] = lambda _, event, __: event
    sends_working: bool = True


def simulate(world: World, chance: Random) -> list[TrafficEvent]:
    """Return the case's events in order of time."""
    events = [_event(chance, m.minute, m.kind, m.message, dict(m.attributes)) for m in world.markers]
    for minute in range(END):
        if minute % 10 == 3:  # routine: it must not be suspected
            job = JOBS[minute // 10 % len(JOBS)]
            events.append(_event(chance, minute + 0.5, "custom", job, {"job": job.split()[0]}))
        shape = 1 + 0.12 * sin(minute / 14)
        for _ in range(_poisson(chance, world.requests_a_minute * shape)):
            at = minute + chance.random()
            events.extend(_request(world, chance, at, _attributes(world, chance, at)))
        for _ in range(_poisson(chance, world.added_a_minute(minute)) if world.added else 0):
            at = minute + chance.random()
            special = world.added(chance) if world.added else {}
            events.extend(_request(world, chance, at, _attributes(world, chance, at) | special))
        for _ in range(_poisson(chance, world.signups_a_minute)):
            events.extend(_signup(world, chance, minute + chance.random()))
    return sorted(events, key=lambda event: event["occurred_at"])


def pick(chance: Random, weights: Mapping[str, int]) -> str:
    """Choose by weight."""
    return chance.choices(list(weights), weights=list(weights.values()))[0]


def _attributes(world: World, chance: Random, at: float) -> TrafficAttributes:
    zone = pick(chance, ZONES)
    country = pick(
        chance, COUNTRIES[zone.split("-")[0] if chance.random() < 0.9 else chance.choice(("ams", "dal"))]
    )
    route = pick(chance, ROUTES)
    attributes: TrafficAttributes = {
        "route": route,
        "method": "GET" if route in ("/health", "/v2/search") else "POST",
        "release": world.new if chance.random() < world.rollout(at) else world.old,
        "zone": zone,
        "pod": f"quotes-{zone[:3]}-{chance.randrange(4)}",
        "tenant": f"firm-{min(int(chance.paretovariate(0.8) * 2), 260)}",
        "plan": pick(chance, PLANS),
        "device": pick(chance, DEVICES),
        "client_version": pick(chance, CLIENTS),
        "country": country,
        "currency": CURRENCIES[country],
        "fast_path": chance.random() < 0.3,
        "items": min(1 + int(chance.expovariate(0.09)), 80),
        "duration_ms": int(chance.lognormvariate(4, 0.6)),
        "request_id": f"{chance.getrandbits(64):016x}",
    }
    if route == ROUTE:
        attributes["payer"] = pick(chance, PAYERS)
    if chance.random() < 0.75:
        attributes["referrer"] = chance.choice(("mail", "portal", "broker"))
    return attributes


def _request(world: World, chance: Random, at: float, attributes: TrafficAttributes) -> list[TrafficEvent]:
    for fault in world.faults:
        if attributes["route"] == fault.route and chance.random() < fault.chance(attributes, at):
            text = fault.message.replace("{n}", str(chance.randrange(100, 9000))).replace(
                "{id}", f"{chance.getrandbits(40):010x}"
            )
            found = attributes | {"error_code": fault.code, "status_code": fault.status} | dict(fault.extra)
            return [world.changed(chance, _event(chance, at, "error", text, found), at)]
    if chance.random() < 0.01:
        code, message, status = chance.choice(NOISE)
        text = message.replace("{n}", str(chance.randrange(9000)))
        text = text.replace("{w}", chance.choice(("email", "birthday", "plate")))
        return [_event(chance, at, "error", text, attributes | {"error_code": code, "status_code": status})]
    if not world.sends_working:
        return []
    attributes["status_code"] = 200
    return [_event(chance, at, "http_request", f"{attributes['method']} {attributes['route']}", attributes)]


def _signup(world: World, chance: Random, at: float) -> list[TrafficEvent]:
    country = pick(chance, COUNTRIES[chance.choice(("ams", "dal"))])
    attributes: TrafficAttributes = {
        "route": "/v2/register",
        "channel": pick(chance, world.signup_channels),
        "device": pick(chance, DEVICES),
        "plan": pick(chance, PLANS),
        "country": country,
        "release": world.new if chance.random() < world.rollout(at) else world.old,
    }
    if chance.random() < world.signup_kept(attributes, at):
        return [_event(chance, at, "signup", "registered", attributes)]
    return []


def _event(chance: Random, at: float, kind: str, message: str, attributes: TrafficAttributes) -> TrafficEvent:
    return {
        "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "occurred_at": written(at),
        "environment": "prod",
        "event_type": kind,
        "severity": "error" if kind == "error" else "info",
        "message": message,
        "attributes": attributes,
    }


def written(at: float) -> str:
    """Write a case's minute as an instant."""
    return (START + timedelta(minutes=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _poisson(chance: Random, mean: float) -> int:
    return max(0, round(chance.gauss(mean, mean**0.5))) if mean > 0 else 0
