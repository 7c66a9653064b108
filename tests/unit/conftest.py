"""Which unit tests `make check` leaves out, and how property tests draw their inputs."""

from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

# The same inputs in each run, however slow the machine is: what fails here fails everywhere.
settings.register_profile(
    "tests", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")

HERE: Final = Path(__file__).parent
SLOW: Final = {
    "docs/test_http_calls.py",
    "docs/test_reference.py",
    "docs/test_site.py",
    "benchmarks/detection/test_scoring.py",
    "cases/test_floor.py",
    "cli/test_ai.py",
    "domain/detection/test_fixed_rules.py",
    "domain/events/test_hostile_payloads.py",
    "domain/events/test_plain_events.py",
    "domain/events/test_sightings.py",
    "domain/incidents/test_series_replay.py",
    "domain/summary/test_prompt.py",
    "domain/summary/test_redaction.py",
    "fixtures/test_fixtures.py",
    "producers/test_commands.py",
    "producers/test_client.py",
    "producers/test_report.py",
    "producers/test_scenarios.py",
    "ray_node/test_haproxy_answers.py",
    "ray_node/test_haproxy_replicas.py",
    "ray_node/test_haproxy_takeover.py",
    "shared_types/test_properties.py",
    "test_architecture.py",
    "test_consumer_kinds.py",
}
"""Files that take more than a second on a quiet machine: property tests and whole simulated days."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow files; a file that was renamed is noticed."""
    assert [name for name in SLOW if not (HERE / name).exists()] == []
    for item in items:
        if item.path.is_relative_to(HERE) and item.path.relative_to(HERE).as_posix() in SLOW:
            item.add_marker(pytest.mark.slow)
