"""A table of endpoints becomes routes."""

from dataclasses import dataclass, replace
from typing import Any

from serve_apps.core.routes import ENDPOINTS
from serve_apps.http.application import routes_of
from serve_apps.http.endpoint import Endpoint


@dataclass(frozen=True)
class NoResources:
    """Nothing is called here."""


def test_methods_of_one_path_share_a_route_wherever_their_rows_stand() -> None:
    table: list[Endpoint[Any]] = [*ENDPOINTS, replace(ENDPOINTS[0], method="PATCH")]
    routes = routes_of(table, NoResources(), authorizer=None)  # type: ignore[arg-type]  # bound, never asked

    (route,) = [route for route in routes if route.path == ENDPOINTS[0].path]
    assert route.methods is not None
    assert {"GET", "HEAD", "PATCH"} <= route.methods
