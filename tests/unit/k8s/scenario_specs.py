"""Scenarios whose Jobs are written down."""

from typing import Any, Final

from k8s.operator.scenario.manifests import Scenario, Target

SCENARIO: Final = Scenario(name="spike", namespace="shop", uid="11111111-2222-3333-4444-555555555555")
TARGET: Final = Target(
    ingest_url="http://demo-ingest.shop.svc:8000", image="registry.example.com/signals:1.0.0"
)
LOADGEN: Final[dict[str, Any]] = {
    "type": "Loadgen",
    "stackRef": {"name": "demo"},
    "apiKeyRef": {"name": "keys", "key": "ingest"},
    "loadgen": {"mode": "spike_errors", "rate": 200, "duration": "1h30m", "seed": 7},
    "parallelism": 3,
}
REPLAY: Final[dict[str, Any]] = {
    "type": "Replay",
    "url": "https://ingest.example.com",
    "image": "registry.example.com/signals:1.0.0",
    "apiKeyRef": {"name": "keys", "key": "ingest"},
    "replay": {"configMapRef": {"name": "recorded", "key": "monday.ndjson"}, "speed": "60"},
    "backoffLimit": 2,
    "suspend": True,
}
CASES: Final = {"scenario-loadgen": LOADGEN, "scenario-replay": REPLAY}
