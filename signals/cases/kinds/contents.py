"""Faults by content and need: data, dependencies, settings, jobs, load."""

from random import Random

from signals.cases.kinds.planting import Made, Truth, everything, named, when
from signals.cases.traffic import ONSET, ROUTE, Marker, PlantedFault, World


def currency(chance: Random) -> Made:
    """One currency, nearly the same as one country."""
    chosen = chance.choice(("EUR", "USD"))
    fault = PlantedFault(
        chance=when(lambda a: a["currency"] == chosen, 0.6), code="RATE", message="no exchange rate for today"
    )
    return World(faults=(fault,)), named(chosen)


def country_only(chance: Random) -> Made:
    """A country of a zone that is well otherwise."""
    chosen = chance.choice(("NL", "US"))
    fault = PlantedFault(
        chance=when(lambda a: a["country"] == chosen, 0.85), code="TAX", message="unexpected error"
    )
    return World(faults=(fault,), requests_a_minute=160), named(chosen)


def large_requests(chance: Random) -> Made:
    """Requests with many items: a range of numbers."""
    limit = chance.choice((16, 20))
    fault = PlantedFault(
        chance=when(lambda a: a["items"] >= limit, 0.95),
        code="TOO_MUCH",
        message="something went wrong",
        status=413,
    )
    return World(faults=(fault,), requests_a_minute=220), named("items")


def without_referrer(chance: Random) -> Made:
    """Requests that lack an attribute."""
    fault = PlantedFault(
        chance=when(lambda a: "referrer" not in a, chance.uniform(0.8, 0.95)),
        code="ORIGIN",
        message="unexpected error",
        status=403,
    )
    return World(faults=(fault,), requests_a_minute=140), named("referrer")


def dependency(chance: Random) -> Made:
    """A dependency that failing events alone name."""
    peer = chance.choice(("tariff-db", "scoring-api", "letter-service"))
    fault = PlantedFault(
        chance=when(everything, 0.7),
        code="PEER",
        message="peer did not answer",
        status=502,
        extra={"peer": peer},
    )
    return World(faults=(fault,)), named(peer)


def certificate(chance: Random) -> Made:
    """A message says it."""
    host = chance.choice(("score.example.com", "letters.example.net"))
    fault = PlantedFault(
        chance=when(everything, 0.99),
        code="TLS",
        message=f"certificate of {host} is not valid after 2026-05-05",
        status=502,
    )
    return World(faults=(fault,)), Truth(facts=(("certificate",), (host,)))


def disk_full(chance: Random) -> Made:
    """A message says it, on one pod."""
    pod = f"quotes-dal-{chance.randrange(4)}"
    fault = PlantedFault(
        chance=when(lambda a: a["pod"] == pod, 0.95),
        code="IO",
        message="no space left on device (write of {n} bytes)",
    )
    return World(faults=(fault,), requests_a_minute=210), Truth(facts=((pod,), ("space",)))


def traffic_surge(chance: Random) -> Made:
    """Three times the traffic, more than the service carries."""
    fault = PlantedFault(chance=when(everything, 0.35), code="BUSY", message="request failed", status=503)
    return World(
        faults=(fault,),
        added=lambda _: {"route": ROUTE},
        added_a_minute=lambda m: chance.uniform(90, 130) if m >= ONSET else 0,
    ), Truth(facts=(("traffic", "load", "requests rose", "surge"),))


def flag_switched(chance: Random) -> Made:
    """A flag that is switched for all users, known by its event alone."""
    flag = chance.choice(("lazy-tariffs", "bulk-rating", "quote-cache"))
    gap = chance.uniform(0.2, 4)
    fault = PlantedFault(
        chance=when(everything, 0.5), code="QUOTE_BROKEN", message="premium {n} is below the minimum"
    )
    marker = Marker(
        minute=ONSET - gap, kind="custom", message=f"{flag} is on", attributes={"flag": flag, "by": "kim"}
    )
    return World(faults=(fault,), markers=(marker,)), named(flag)


def setting_changed(chance: Random) -> Made:
    """A setting, by a change event; an unrelated one came a little earlier."""
    key = chance.choice(("rating.timeout_ms", "store.max_connections", "quotes.batch"))
    fault = PlantedFault(chance=when(everything, 0.6), code="RATING", message="unexpected error")
    marker = Marker(
        minute=ONSET - 1,
        kind="custom",
        message="configuration changed",
        attributes={"key": key, "value": "5"},
    )
    other = Marker(minute=ONSET - 11, kind="custom", message="on-call handed over", attributes={"to": "lee"})
    return World(faults=(fault,), markers=(marker, other)), named(key)


def nightly_job(chance: Random) -> Made:
    """A rare job starts and locks what requests need."""
    job = chance.choice(("contract-export", "ledger-close"))
    fault = PlantedFault(
        chance=when(everything, 0.6),
        code="LOCKED",
        message="could not lock row of table contracts: timeout",
        status=503,
    )
    marker = Marker(minute=ONSET - 0.5, kind="custom", message=f"job {job} started", attributes={"job": job})
    return World(faults=(fault,), markers=(marker,)), named(job)
