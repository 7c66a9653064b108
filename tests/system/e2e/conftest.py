"""The whole product on real servers and real Ray, once for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.support.product import Product, open_product


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Servers, Ray, both APIs, all actors, and a model that answers at once."""
    with open_product(tmp_path_factory.mktemp("product")) as product:
        yield product
