"""Where: zones, pods, tenants, clients, devices, and pairs of attributes."""

from random import Random

from signals.cases.kinds.planting import Made, Truth, named, ramp, when
from signals.cases.traffic import CLIENTS, ONSET, ROUTE, PlantedFault, World


def zone_down(chance: Random) -> Made:
    """One zone; countries and pods are correlated with it."""
    zone = chance.choice(("ams-a", "ams-b", "dal-a", "dal-b"))
    fault = PlantedFault(
        chance=when(lambda a: a["zone"] == zone, 0.9),
        code="RATING_TIMEOUT",
        message="rating engine gave no answer in {n} ms",
        status=504,
    )
    return World(faults=(fault,), requests_a_minute=150), named(zone)


def zones_of_a_region(chance: Random) -> Made:
    """Both zones of a region: a set of values."""
    region = chance.choice(("ams", "dal"))
    fault = PlantedFault(
        chance=when(lambda a: a["zone"].startswith(region), 0.85),
        code="STORE",
        message="replica set has no primary",
    )
    return World(faults=(fault,)), Truth(facts=((f"{region}-a", "primary"), (f"{region}-b", "primary")))


def one_pod(chance: Random) -> Made:
    """One pod of eight."""
    pod = f"quotes-{chance.choice(('ams', 'dal'))}-{chance.randrange(4)}"
    fault = PlantedFault(
        chance=when(lambda a: a["pod"] == pod, 0.98), code="INTERNAL", message="unexpected error"
    )
    return World(faults=(fault,), requests_a_minute=200), named(pod)


def pod_ramp(chance: Random) -> Made:
    """One pod degrades slowly."""
    pod = f"quotes-ams-{chance.randrange(4)}"
    fault = PlantedFault(
        chance=ramp(lambda a: a["pod"] == pod, 0.95, 8),
        code="SLOW",
        message="gave up after {n} ms",
        status=504,
    )
    return World(faults=(fault,), requests_a_minute=230), named(pod)


def new_tenant(chance: Random) -> Made:
    """A customer who was never there sends what cannot be read."""
    tenant = f"firm-{chance.randrange(700, 999)}"
    fault = PlantedFault(
        chance=when(lambda a: a["tenant"] == tenant, 0.97),
        code="BAD_INPUT",
        message="field plate is not valid",
        status=422,
    )
    special = {"route": ROUTE, "method": "POST", "tenant": tenant, "plan": "corporate"}
    return World(
        faults=(fault,), added=lambda _: dict(special), added_a_minute=lambda m: 12.0 if m >= ONSET else 0
    ), named(tenant)


def known_tenant(chance: Random) -> Made:
    """A customer who was always there loses a permission."""
    tenant = f"firm-{chance.randrange(300, 600)}"
    fault = PlantedFault(
        chance=when(lambda a: a["tenant"] == tenant, 1.0),
        code="FORBIDDEN",
        message="contract does not cover this",
        status=403,
    )
    special = {"route": ROUTE, "tenant": tenant, "plan": "corporate"}
    return World(faults=(fault,), added=lambda _: dict(special), added_a_minute=lambda _: 9.0), named(tenant)


def old_clients(chance: Random) -> Made:
    """Clients up to a version: a range."""
    last = chance.choice((2, 3))
    bad = list(CLIENTS)[last - 1 :] if last == 2 else list(CLIENTS)[2:]
    fault = PlantedFault(
        chance=when(lambda a: a["client_version"] in bad, 0.9),
        code="SIGNATURE",
        message="signature does not match",
        status=401,
    )
    return World(faults=(fault,), requests_a_minute=150), named(*bad[:2])


def device_kiosk(chance: Random) -> Made:
    """A rare device, more of it than usual."""
    fault = PlantedFault(
        chance=when(lambda a: a["device"] == "kiosk", chance.uniform(0.8, 1)),
        code="PRINTER",
        message="form has no page size",
        status=400,
    )
    special = {"route": ROUTE, "device": "kiosk"}
    return World(faults=(fault,), added=lambda _: dict(special), added_a_minute=lambda _: 6.0), named("kiosk")


def zone_and_payer(chance: Random) -> Made:
    """Two attributes together."""
    zone, payer = chance.choice(("ams-a", "ams-b")), chance.choice(("invoice", "visa"))
    fault = PlantedFault(
        chance=when(lambda a: a["zone"] == zone and a.get("payer") == payer, 0.97),
        code="PAYER",
        message="something went wrong",
    )
    return World(faults=(fault,), requests_a_minute=210), named(zone, payer)


def plan_and_flag(chance: Random) -> Made:
    """A feature of one plan breaks behind a flag that travels with requests."""
    plan = chance.choice(("basic", "plus"))
    fault = PlantedFault(
        chance=when(lambda a: a["fast_path"] and a["plan"] == plan, 0.95),
        code="FAST",
        message="fast path is inconsistent",
    )
    return World(faults=(fault,), requests_a_minute=220), named(plan, "fast_path")


def flag_attribute(chance: Random) -> Made:
    """A flag that travels with requests."""
    fault = PlantedFault(
        chance=when(lambda a: bool(a["fast_path"]), chance.uniform(0.5, 0.9)),
        code="FAST",
        message="unexpected error",
    )
    return World(faults=(fault,)), named("fast_path")


def two_zones_apart(chance: Random) -> Made:
    """Two causes at once, on two attributes."""
    zone, device = chance.choice(("ams-a", "dal-a")), chance.choice(("ios", "android"))
    one = PlantedFault(
        chance=when(lambda a: a["zone"] == zone, 0.9), code="QUOTE", message="replica set has no primary"
    )
    two = PlantedFault(
        chance=when(lambda a: a["device"] == device, 0.9), code="QUOTE", message="view model is incomplete"
    )
    return World(faults=(one, two)), Truth(causes=(((zone,),), ((device,),)))
