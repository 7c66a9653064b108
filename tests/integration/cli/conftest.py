"""core-api and its keys, for the commands that ask it."""

from tests.integration.core.conftest import anonymous, keys

__all__ = ["anonymous", "keys"]
