"""The keys that the tests of core-api use."""

from tests.integration.core.conftest import keys

__all__ = ["keys"]
