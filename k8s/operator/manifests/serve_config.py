"""Serve's configuration: three applications and their counts. Changing it replaces no pod."""

from typing import Any, Final

import yaml

from k8s.operator.stack_types import SignalsStackSpec
from signals.consumer_kinds import KINDS

HTTP_OPTIONS: Final = {
    "host": "0.0.0.0",  # noqa: S104  # reached through Services; the NetworkPolicy says by whom
    "port": 8000,
    "keep_alive_timeout_s": 75,
}


def serve_config(spec: SignalsStackSpec) -> str:
    """Return `serveConfigV2`: the same text for the same counts."""
    counts = {kind.setting: spec.pipeline.count(kind) for kind in KINDS}
    config = {
        "proxy_location": "EveryNode",
        "http_options": HTTP_OPTIONS,
        "applications": [
            _application(
                "ingest", "/v1/events", {"name": "ingest-api", "num_replicas": spec.ingest.replicas}
            ),
            _application(
                "core",
                "/",
                {"name": "core-api", "num_replicas": spec.core_api.replicas, "user_config": counts},
            ),
            _application("consumers", None, {"name": "supervisor", "user_config": counts}),
        ],
    }
    return yaml.dump(config, Dumper=_Plain, sort_keys=True)


def _application(name: str, route_prefix: str | None, deployment: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "route_prefix": route_prefix,
        "import_path": f"serve_apps.app:{name}",
        "args": {},
        "deployments": [deployment],
    }


class _Plain(yaml.SafeDumper):
    """Repeats shared nodes instead of writing YAML anchors, for readability."""

    def ignore_aliases(self, data: object) -> bool:
        return True
