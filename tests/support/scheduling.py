"""Decides which tests of a parallel run stay on one worker. Source: pytest-xdist, `LoadScopeScheduling`."""

from typing import Final

from xdist.scheduler import LoadScopeScheduling

ONE_AT_A_TIME: Final = {
    "tests/system/e2e/": "product",
    "tests/system/faults/": "product",
    "tests/integration/local/test_ray_closed.py": "product",
    "tests/system/tls/": "tls",
}
"""Places whose tests share a worker: Ray, three servers and all actors fill a small machine."""


class SchedulingByPlace(LoadScopeScheduling):
    """Keeps the tests of one file together, and all tests that start the whole product.

    The groups of xdist's own `loadgroup` do not reach it from pytest 9.2 on (xdist 3.8).
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((group for place, group in ONE_AT_A_TIME.items() if nodeid.startswith(place)), file)
