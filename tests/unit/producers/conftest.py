"""Servers for the producers' tests."""

from collections.abc import Iterator

import pytest

from tests.unit.producers.ingest_server import IngestServer, ingest_server


@pytest.fixture
def server() -> Iterator[IngestServer]:
    """Return a running ingest server."""
    with ingest_server() as running:
        yield running
