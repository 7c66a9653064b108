"""Serve's configuration: the applications and their counts. Changing it replaces no pod."""

from typing import Any, Final

import yaml

from k8s.operator.stack_types import SignalsStackSpec
from signals.consumer_kinds import KINDS
from signals.serve_applications import as_configured, running

HTTP_OPTIONS: Final = {
    "host": "0.0.0.0",  # noqa: S104  # reached through Services; the NetworkPolicy says by whom
    "port": 8000,
    "keep_alive_timeout_s": 75,
}


def serve_config(spec: SignalsStackSpec) -> str:
    """Return `serveConfigV2`: the same text for the same counts."""
    console = spec.console.placement
    counts = {kind.setting: spec.pipeline.count(kind) for kind in KINDS}
    details: dict[str, dict[str, Any]] = {
        "ingest": {"num_replicas": spec.ingest.replicas},
        "core": {"num_replicas": spec.core_api.replicas, "user_config": counts},
        "console": {"num_replicas": spec.console.replicas, "user_config": counts},
        "consumers": {"user_config": counts},
    }
    config = {
        "proxy_location": "EveryNode",
        "http_options": HTTP_OPTIONS,
        "applications": [
            as_configured(row, console) | {"deployments": [{"name": row.deployment, **details[row.name]}]}
            for row in running(console)
        ],
    }
    return yaml.dump(config, Dumper=_Plain, sort_keys=True)


class _Plain(yaml.SafeDumper):
    """Repeats shared nodes instead of writing YAML anchors, for readability."""

    def ignore_aliases(self, data: object) -> bool:
        return True
