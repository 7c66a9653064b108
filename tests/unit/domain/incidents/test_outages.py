"""One outage, one incident to people; unrelated ones stay apart."""

from collections.abc import Mapping

from signals.domain.incidents.outages import EVERYTHING, Member, Outage, group

ROUTES = ("/checkout", "/login", "/search", "/cart")
CODES = ("TIMEOUT", "DB_DOWN", "BAD_TOKEN", "NULL_REF")
SERIES = {
    f"{code}|{route}": {"error_code": code, "route": route, "environment": "prod"}
    for code in CODES
    for route in ROUTES
}


def _active(_minute: int) -> Mapping[str, Mapping[str, str]]:
    return SERIES


def _group(opened: list[tuple[str, int]]) -> list[Outage]:
    members = [
        Member(number=number, series=name, attributes=SERIES[name], opened_at=at)
        for number, (name, at) in enumerate(sorted(opened, key=lambda pair: pair[1]))
    ]
    return group(members, _active)


def _causes(outages: list[Outage]) -> list[tuple[str, str] | None]:
    return [outage.cause for outage in outages]


def test_failures_of_one_route_are_one_outage() -> None:
    outages = _group([(f"{code}|/cart", at) for at, code in enumerate(CODES)])
    assert _causes(outages) == [("route", "/cart")]


def test_failures_everywhere_are_one_outage_of_the_project() -> None:
    outages = _group([(name, number % 6) for number, name in enumerate(SERIES)])
    assert _causes(outages) == [EVERYTHING]


def test_two_routes_that_fail_at_once_stay_two_outages() -> None:
    opened = [(f"{code}|{route}", at) for at, code in enumerate(CODES) for route in ("/cart", "/login")]
    assert sorted(map(str, _causes(_group(opened)))) == ["('route', '/cart')", "('route', '/login')"]


def test_two_unrelated_series_stay_two_outages() -> None:
    assert _causes(_group([("TIMEOUT|/cart", 0), ("DB_DOWN|/login", 0)])) == [None, None]


def test_late_series_of_the_same_value_joins_the_outage() -> None:
    outages = _group([*((f"{code}|/cart", 0) for code in CODES[:3]), ("NULL_REF|/cart", 25)])
    assert [len(outage.members) for outage in outages] == [4]


def test_unrelated_late_series_is_an_outage_of_its_own() -> None:
    outages = _group([*((f"{code}|/cart", 0) for code in CODES), ("NULL_REF|/login", 25)])
    assert [len(outage.members) for outage in outages] == [4, 1]


def test_series_that_returns_soon_joins_its_outage() -> None:
    assert len(_group([("TIMEOUT|/cart", 0), ("TIMEOUT|/cart", 20)])) == 1
    assert len(_group([("TIMEOUT|/cart", 0), ("TIMEOUT|/cart", 60)])) == 2


def test_partial_outage_of_a_route_is_one_outage() -> None:
    outages = _group([(f"{code}|/cart", at) for at, code in enumerate(CODES[:2])])
    assert _causes(outages) == [("route", "/cart")]


def test_cascade_over_ten_minutes_is_one_outage() -> None:
    outages = _group([(f"{code}|/cart", 3 * at) for at, code in enumerate(CODES)])
    assert [len(outage.members) for outage in outages] == [4]
