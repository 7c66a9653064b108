"""How many consumers there must be: Serve's user_config, else the environment."""

import pytest
from pydantic import ValidationError

from actors.names import expected
from signals.settings import ConsumerSettings, EnvironmentSettings


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> EnvironmentSettings:
    """Two detectors, and one of each other kind."""
    monkeypatch.setenv("SIGNALS_DETECTORS", "2")
    return ConsumerSettings.from_env()


def test_environment_sets_counts_without_user_config(environment: EnvironmentSettings) -> None:
    assert expected({}, environment) == {
        "incident-engine-0": "incident-engine",
        "incident-engine-1": "incident-engine",
        "indexer-0": "indexer",
        "ai-worker-0": "ai-worker",
        "notifier-0": "notifier",
    }


def test_user_config_overrides_each_count_and_allows_zero(environment: EnvironmentSettings) -> None:
    names = list(expected({"detectors": 0, "indexers": 3}, environment))
    assert names == ["indexer-0", "indexer-1", "indexer-2", "ai-worker-0", "notifier-0"]


@pytest.mark.parametrize("wrong", [{"detectors": -1}, {"detectors": "3"}, {"detector": 1}, {"indexers": 257}])
def test_a_wrong_entry_is_named(wrong: dict[str, object], environment: EnvironmentSettings) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        expected(wrong, environment)
