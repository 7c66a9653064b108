"""The API server accepts and refuses custom resources by the shipped definitions, and says why."""

import pytest

from tests.k8s.control_plane.api import Api, Object, RefusedError
from tests.k8s.control_plane.specs import ABSENT, Change, changed, scenario, stack

VERIFY = {"spec.postgres.sslMode": "verify-full"}
SASL = {"spec.kafka.securityProtocol": "SASL_SSL", "spec.kafka.caRef": {"name": "ca"}}
AI = {"spec.ai": {"secretRef": {"name": "ai"}, "models": ["llama3.3-70b-instruct"]}}

STACKS: dict[str, tuple[Change, str | None]] = {
    "the smallest": ({}, None),
    "a model": (AI, None),
    "a model that is off needs nothing": ({"spec.ai": {"enabled": False}}, None),
    "TLS to Postgres with a CA": (VERIFY | {"spec.postgres.caRef": {"name": "ca"}}, None),
    "SASL with its secret": (SASL | {"spec.kafka.secretRef": {"name": "kafka"}}, None),
    "one copy of each topic": ({"spec.kafka.topics": {"replicationFactor": 1}}, None),
    "a digest where one is required": (
        {"spec.imagePolicy": "RequireDigest", "spec.image": "signals@sha256:" + "0" * 64},
        None,
    ),
    "one worker, which a drain may take": ({"spec.ray.workers": 1}, None),
    "a tag behind a registry's port": ({"spec.image": "localhost:5000/signals:1"}, None),
    "no image": ({"spec.image": ABSENT}, "spec.image"),
    "latest": ({"spec.image": "signals:latest"}, "other than latest"),
    "no tag": ({"spec.image": "localhost:5000/signals"}, "needs a tag"),
    "half a digest": ({"spec.image": "signals@sha256:0000"}, "or a digest"),
    "a tag where a digest is required": ({"spec.imagePolicy": "RequireDigest"}, "sha256"),
    "paused and suspended": ({"spec.paused": True, "spec.suspend": True}, "exclude each other"),
    "more consumers than partitions": ({"spec.pipeline.workers": 13}, "partitions"),
    "TLS to Postgres without a CA": (VERIFY, "caRef"),
    "SASL without its secret": (SASL, "secretRef"),
    "TLS to Kafka without a CA": ({"spec.kafka.securityProtocol": "SSL"}, "caRef"),
    "no brokers": ({"spec.kafka.brokers": []}, "spec.kafka.brokers"),
    "an unknown mechanism": ({"spec.kafka.saslMechanism": "GSSAPI"}, "saslMechanism"),
    "no consumers": ({"spec.pipeline.workers": 0}, "spec.pipeline.workers"),
    "a model without its key": ({"spec.ai": {"models": ["a"]}}, "secretRef"),
    "a model at no URL": (AI | {"spec.ai.baseURL": "inference"}, "http(s) URL"),
    "a budget that forbids every drain": ({"spec.disruption.minAvailable": 2}, "drain may take"),
    "no quantity": ({"spec.ray.headResources": {"cpu": "many", "memory": "1Gi"}}, "headResources.cpu"),
    "room of nothing": ({"spec.ray.headResources": {"cpu": "1", "memory": "0.0Gi"}}, "headResources.memory"),
    "half a processor": ({"spec.ray.headResources": {"cpu": "0.5", "memory": "1Gi"}}, None),
    "an image with a space": ({"spec.image": "a b:1"}, "spec.image"),
    "a key that Kafka's Secret does not have": (
        SASL | {"spec.kafka.secretRef": {"name": "kafka", "key": "password"}},
        "unknown field",
    ),
    "Redis over TLS": ({"spec.ray.gcsFaultTolerance": {"address": "rediss://redis:6379"}}, None),
    "Redis nowhere": ({"spec.ray.gcsFaultTolerance": {"address": "not a url"}}, "address"),
    "a duration without unit": ({"spec.upgrade": {"timeout": "20"}}, "timeout"),
    "a duration in days": ({"spec.upgrade": {"timeout": "1d"}}, "timeout"),
    "a duration in microseconds": ({"spec.upgrade": {"timeout": "90000000us"}}, "timeout"),
    "a duration of two parts": ({"spec.upgrade": {"timeout": "1h30.5m"}}, None),
    "an upgrade without time": ({"spec.upgrade": {"timeout": "10s"}}, "timeout"),
    "a name that leaves no room": ({"metadata.name": "a" * 41}, "40 characters"),
    "a misspelt field": ({"spec.kafka.broker": "x"}, "unknown field"),
}

STACK_CHANGES: dict[str, tuple[Change, Change, str | None]] = {
    "more partitions": ({}, {"spec.kafka.topics": {"partitions": 24}}, "fixed"),
    "another image": ({}, {"spec.image": "signals:2"}, None),
    "the model switched off": (AI, {"spec.ai.enabled": False}, None),
    "the model removed": (AI, {"spec.ai": ABSENT}, None),
    "fewer partitions": ({}, {"spec.kafka.topics.partitions": 6}, "fixed"),
}

REPLAY = {"spec.type": "Replay", "spec.loadgen": ABSENT}
EXPECTED = {
    "incidentWithin": "2m",
    "summaryWithin": "5m",
    "readKeyRef": {"name": "keys", "key": "read"},
}
SCENARIOS: dict[str, tuple[Change, str | None]] = {
    "the smallest": ({}, None),
    "with what is expected": ({"spec.expect": EXPECTED}, None),
    "accepted alone needs no key to read": ({"spec.expect": {"minAcceptedPercent": 99}}, None),
    "a replay of a fixture": (REPLAY | {"spec.replay": {"fixture": "spike_errors.ndjson"}}, None),
    "to a URL": ({"spec.stackRef": ABSENT, "spec.url": "https://signals.example.com"}, None),
    "an incident without a key to read": ({"spec.expect": {"incidentWithin": "2m"}}, "readKeyRef"),
    "no key": ({"spec.apiKeyRef": ABSENT}, "apiKeyRef"),
    "both blocks": ({"spec.replay": {"fixture": "a.ndjson"}}, "exactly the block"),
    "the other block": ({"spec.type": "Replay"}, "exactly the block"),
    "two fixtures": (
        REPLAY | {"spec.replay": {"fixture": "a.ndjson", "configMapRef": {"name": "a", "key": "b"}}},
        "fixture or configMapRef",
    ),
    "a path as fixture": (REPLAY | {"spec.replay": {"fixture": "../etc/passwd"}}, "fixture"),
    "two targets": ({"spec.url": "https://signals.example.com"}, "not both"),
    "no target": ({"spec.stackRef": ABSENT}, "stackRef or url"),
    "expecting of a URL": (
        {"spec.stackRef": ABSENT, "spec.url": "https://a.example.com", "spec.expect": {}},
        "expect needs stackRef",
    ),
    "an unknown mode": ({"spec.loadgen.mode": "chaos"}, "spec.loadgen.mode"),
    "a day and more": ({"spec.loadgen.duration": "25h"}, "24h"),
    "a period in weeks": ({"spec.expect": EXPECTED | {"incidentWithin": "2 weeks"}}, "incidentWithin"),
    "an image with a space": ({"spec.image": "a b:1"}, "spec.image"),
    "a name with a dot": ({"metadata.name": "a.b"}, "hold no dot"),
    "a name that leaves no room": ({"metadata.name": "a" * 53}, "52 characters"),
}

SCENARIO_CHANGES: dict[str, tuple[Change, str | None]] = {
    "suspended": ({"spec.suspend": True}, None),
    "kept longer": ({"spec.ttlSecondsAfterFinished": 60}, None),
    "another mode": ({"spec.loadgen.mode": "normal"}, "create a new one"),
    "expecting more": ({"spec.expect": EXPECTED}, "create a new one"),
    "more senders": ({"spec.parallelism": 2}, "create a new one"),
    "another stack": ({"spec.stackRef.name": "other"}, "create a new one"),
    "a URL instead of the stack": ({"spec.stackRef": ABSENT, "spec.url": "http://a"}, "create a new one"),
    "an image": ({"spec.image": "signals:2"}, "create a new one"),
    "another patience": ({"spec.backoffLimit": 3}, "create a new one"),
}


@pytest.mark.parametrize(("change", "refusal"), STACKS.values(), ids=STACKS)
def test_stack_is_validated(api: Api, crds: None, change: Change, refusal: str | None) -> None:
    judged(api, "signalsstacks", changed(stack(), change), refusal)


@pytest.mark.parametrize(("change", "refusal"), SCENARIOS.values(), ids=SCENARIOS)
def test_scenario_is_validated(api: Api, crds: None, change: Change, refusal: str | None) -> None:
    judged(api, "signalsscenarios", changed(scenario(), change), refusal)


@pytest.mark.parametrize(("first", "change", "refusal"), STACK_CHANGES.values(), ids=STACK_CHANGES)
def test_change_of_a_stack_is_validated(
    api: Api, crds: None, namespace: str, first: Change, change: Change, refusal: str | None
) -> None:
    stored = api.create("signalsstacks", changed(stack(), first), namespace)

    replaced(api, "signalsstacks", changed(stored, change), namespace, refusal)


@pytest.mark.parametrize(("change", "refusal"), SCENARIO_CHANGES.values(), ids=SCENARIO_CHANGES)
def test_change_of_a_scenario_is_validated(
    api: Api, crds: None, namespace: str, change: Change, refusal: str | None
) -> None:
    stored = api.create("signalsscenarios", scenario(), namespace)

    replaced(api, "signalsscenarios", changed(stored, change), namespace, refusal)


def test_defaults_are_written_out(api: Api, crds: None) -> None:
    spec = api.create("signalsstacks", stack(), "default", dry_run=True)["spec"]

    assert spec["kafka"]["topics"]["partitions"] == 12
    assert spec["pipeline"]["workers"] == 3
    assert spec["upgrade"] == {"strategy": "NewCluster", "approval": "Automatic", "timeout": "20m"}


def test_scale_subresource_moves_the_consumers(api: Api, crds: None, namespace: str) -> None:
    api.create("signalsstacks", stack(), namespace)

    api.merge("signalsstacks", "demo", {"spec": {"replicas": 5}}, namespace, part="scale")

    assert api.get("signalsstacks", "demo", namespace)["spec"]["pipeline"]["workers"] == 5


def test_spec_writer_cannot_write_the_status(api: Api, crds: None, namespace: str) -> None:
    manifest = changed(stack(), {"status.version": "9.9.9"})

    assert "status" not in api.create("signalsstacks", manifest, namespace)


def judged(api: Api, plural: str, manifest: Object, refusal: str | None) -> None:
    """Send it as a dry run; a refusal must say what we meant to say."""
    if refusal is None:
        api.create(plural, manifest, "default", dry_run=True)
        return
    with pytest.raises(RefusedError) as refused:
        api.create(plural, manifest, "default", dry_run=True)
    assert refusal in refused.value.message


def replaced(api: Api, plural: str, manifest: Object, namespace: str, refusal: str | None) -> None:
    """Store it in place of what is there, or be refused with our sentence."""
    if refusal is None:
        api.replace(plural, manifest, namespace)
        return
    with pytest.raises(RefusedError) as refused:
        api.replace(plural, manifest, namespace)
    assert refusal in refused.value.message
