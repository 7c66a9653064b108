"""Consumers are scaled through Serve's user_config while everything else goes on."""

from typing import Any, Final

import yaml

from signals.local.ray_head import SERVE_CONFIG
from signals.ray_node.variables import HOST
from signals.settings import KafkaSettings
from tests.support.product import Product
from tests.support.waiting import until
from tests.system.e2e.test_acceptance import spike

SCALED: Final = {"consumers": "supervisor", "core": "core-api"}
KINDS: Final = {
    "detectors": "incident-engine",
    "indexers": "indexer",
    "summarizers": "ai-worker",
    "notifiers": "notifier",
}
SERVERS: Final = {"postgresql", "kafka", "opensearch"}
PARTITIONS: Final = list(range(KafkaSettings.model_fields["signals_partitions"].default))
OWNERS: Final = [f"incident-engine-{number}" for number in range(3)]


def scale(product: Product, counts: dict[str, int]) -> None:
    """PUT the whole configuration again, as KubeRay does with serveConfigV2, with other counts only."""
    config = yaml.safe_load(SERVE_CONFIG.read_text())
    config["http_options"] |= {"host": HOST, "port": product.head.state.ports["http"]}
    for application in config["applications"]:
        if (deployment := SCALED.get(application["name"])) and counts:
            application["deployments"] = [{"name": deployment, "user_config": counts}]
    product.head.dashboard.deploy(config)


def runs_with(product: Product, counts: dict[str, int]) -> bool:
    """Whether /readyz expects just these consumers, and all of them run."""
    parts = product.readiness()
    names = {f"{KINDS[kind]}-{number}" for kind, count in counts.items() for number in range(count)}
    states = {name: state for name, state in parts.items() if name not in SERVERS}
    return set(states) == names and set(states.values()) <= {"running"}


def replicas(product: Product) -> dict[str, Any]:
    """The process of every replica of every application."""
    return {
        name: [(replica["replica_id"], replica["pid"]) for replica in deployment["replicas"]]
        for application in product.head.applications().values()
        for name, deployment in application["deployments"].items()
    }


def owners(product: Product, kind: str) -> dict[str, list[int]]:
    """The partitions of each consumer that is listed."""
    rows = product.rows("SELECT name, partitions FROM pipeline.workers WHERE kind = %s", kind)
    return {name: partitions for name, partitions in rows if partitions}


def counted(product: Product, code: str) -> int:
    """How many events of the fingerprint are in the buckets."""
    ((count,),) = product.rows(
        "SELECT coalesce(sum(value), 0) FROM metrics_buckets WHERE fingerprint = %s", f"{code}|/e2e|prod"
    )
    return int(count)


def test_consumers_scale_without_restart_or_loss(product: Product) -> None:
    one = dict.fromkeys(KINDS, 1)
    more = {"detectors": 3, "indexers": 2, "summarizers": 2, "notifiers": 1}
    until(lambda: runs_with(product, one), within_s=60)
    before = replicas(product)
    scale(product, more)
    spike(product, "SCALED_UP")
    until(lambda: runs_with(product, more), within_s=120)
    until(lambda: sorted(owners(product, "incident-engine")) == OWNERS, within_s=60)
    scale(product, one)
    spike(product, "SCALED_DOWN")
    until(lambda: runs_with(product, one), within_s=120)
    until(lambda: owners(product, "incident-engine") == {OWNERS[0]: PARTITIONS}, within_s=120)
    until(lambda: product.unsettled() == 0, within_s=60)
    assert replicas(product) == before
    assert counted(product, "SCALED_UP") == counted(product, "SCALED_DOWN") == 40
    scale(product, {})
    until(lambda: runs_with(product, one), within_s=60)
