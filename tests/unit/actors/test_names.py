"""How many consumers there must be: Serve's user_config, else the environment."""

import pytest
from pydantic import ValidationError

from actors.names import ConsumerCounts, expected
from signals.settings import RuntimeSettings

ENVIRONMENT = RuntimeSettings(detectors=2, indexers=1, summarizers=1)


def test_without_user_config_the_environment_decides() -> None:
    counts = ConsumerCounts.of({}, ENVIRONMENT)
    assert counts == ConsumerCounts(detectors=2, indexers=1, summarizers=1)
    assert list(expected(counts)) == ["incident-engine-0", "incident-engine-1", "indexer-0", "ai-worker-0"]


def test_user_config_wins_entry_by_entry_and_none_may_be_wished() -> None:
    counts = ConsumerCounts.of({"detectors": 0, "indexers": 3}, ENVIRONMENT)
    assert counts == ConsumerCounts(detectors=0, indexers=3, summarizers=1)


@pytest.mark.parametrize("wrong", [{"detectors": -1}, {"detectors": "3"}, {"detector": 1}, {"indexers": 257}])
def test_a_wrong_entry_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ConsumerCounts.of(wrong, ENVIRONMENT)
