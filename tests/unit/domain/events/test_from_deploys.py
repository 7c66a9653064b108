"""Deploy hooks of every sender become deploy events, and only with the right signature."""

import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from shared_types import InvalidEvent
from signals.domain.events.foreign import ForeignReading
from signals.domain.events.from_deploys import read_deploy, read_github, read_gitlab, read_vercel
from signals.domain.events.hook_signatures import is_signed_by_github, is_signed_by_vercel
from tests.support.recordings import RECEIPT

SHA = "9049f1265b7d61be4a8904a9a27120d2064dab3b"


def _facts(reading: ForeignReading) -> tuple[object, ...]:
    event = reading.events[0]
    attributes: Any = event["attributes"]
    return event["event_type"], event["severity"], event["environment"], attributes["release"]


@pytest.mark.parametrize(
    ("hook", "facts"),
    [
        ({"release": "2.4.1"}, ("deploy", "info", "prod", "2.4.1")),
        ({"release": 7, "environment": "qa", "status": "failure"}, ("deploy", "error", "staging", "7")),
    ],
)
def test_own_hook_gives_a_deploy(hook: dict[str, object], facts: tuple[object, ...]) -> None:
    assert _facts(read_deploy(orjson.dumps(hook), RECEIPT)) == facts


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", "release"),
        (b'{"release":{"id":1}}', "release"),
        (b'{"release":["1"]}', "release"),
        (b'{"release":"1","status":"maybe"}', "status"),
        (b"[]", None),
    ],
)
def test_own_hook_names_the_field_at_fault(body: bytes, field: str | None) -> None:
    with pytest.raises(InvalidEvent) as raised:
        read_deploy(body, RECEIPT)
    assert raised.value.field == field


def test_repeated_hook_is_one_deploy() -> None:
    body = b'{"release":"2.4.1"}'
    first, again = read_deploy(body, RECEIPT), read_deploy(body, RECEIPT)
    assert first.events[0]["event_id"] == again.events[0]["event_id"]
    full = read_deploy(b'{"release":"2.4.1","status":"ok","environment":"production"}', RECEIPT)
    assert full.events[0]["event_id"] == first.events[0]["event_id"]
    other = read_deploy(b'{"release":"2.4.1","id":"run-2"}', RECEIPT)
    assert other.events[0]["event_id"] != first.events[0]["event_id"]


def _github(state: str) -> bytes:
    status = {
        "state": state,
        "environment": "production",
        "created_at": "2026-11-29T05:59:00Z",
        "target_url": "https://ci.example/1",
    }
    return orjson.dumps(
        {"deployment_status": status, "deployment": {"sha": SHA, "environment": "production"}}
    )


@pytest.mark.parametrize(
    ("state", "severity"), [("success", "info"), ("failure", "error"), ("error", "error")]
)
def test_github_status_gives_a_deploy(state: str, severity: str) -> None:
    reading = read_github(_github(state), "deployment_status", "d-1", RECEIPT)
    assert _facts(reading) == ("deploy", severity, "prod", SHA)
    assert reading.events[0]["occurred_at"] == "2026-11-29T05:59:00.000Z"


def test_github_release_gives_a_deploy() -> None:
    body = orjson.dumps({"action": "published", "release": {"id": 1, "tag_name": "v2"}})
    assert _facts(read_github(body, "release", "d-2", RECEIPT)) == ("deploy", "info", "prod", "v2")


@pytest.mark.parametrize(("event", "state"), [("ping", ""), ("deployment_status", "pending"), ("push", "")])
def test_other_github_events_are_ignored(event: str, state: str) -> None:
    reading = read_github(_github(state), event, "d-3", RECEIPT)
    assert (reading.events, sum(reading.ignored.values())) == ([], 1)


def test_gitlab_deployment_gives_a_deploy() -> None:
    hook = {
        "object_kind": "deployment",
        "status": "success",
        "status_changed_at": "2026-11-29 06:50:00 +0100",
        "deployment_id": 15,
        "deployable_url": "https://gitlab.example/jobs/1",
        "environment": "staging",
        "project": {"id": 30},
        "short_sha": SHA[:8],
        "commit_url": f"https://gitlab.example/p/-/commit/{SHA}",
    }
    reading = read_gitlab(orjson.dumps(hook), RECEIPT)
    assert _facts(reading) == ("deploy", "info", "staging", SHA)
    assert reading.events[0]["occurred_at"] == "2026-11-29T05:50:00.000Z"
    running = read_gitlab(orjson.dumps({**hook, "status": "running"}), RECEIPT)
    assert (running.events, running.ignored) == ([], {"gitlab deployment running": 1})


@pytest.mark.parametrize(
    ("kind", "target", "facts"),
    [
        ("deployment.succeeded", "production", ("deploy", "info", "prod", SHA)),
        ("deployment.error", None, ("deploy", "error", "staging", SHA)),
    ],
)
def test_vercel_deployment_gives_a_deploy(kind: str, target: str | None, facts: tuple[object, ...]) -> None:
    deployment = {"id": "dpl_1", "url": "shop-abc.vercel.app", "meta": {"githubCommitSha": SHA}}
    hook = {
        "id": "hook_1",
        "type": kind,
        "createdAt": 1795931505162,
        "payload": {"target": target, "deployment": deployment},
    }
    reading = read_vercel(orjson.dumps(hook), RECEIPT)
    assert _facts(reading) == facts
    assert reading.events[0]["occurred_at"] == "2026-11-29T05:51:45.162Z"


def test_signature_is_that_of_the_raw_body() -> None:
    body, secret = b'{"a": 1}', "s3cret"
    right = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert is_signed_by_github(body, right, secret)
    for wrong in ("", "sha256=", right[:-1] + "x", "\ud83d"):
        assert not is_signed_by_github(body, wrong, secret)
    assert not is_signed_by_github(body + b" ", right, secret)


def test_signature_of_vercel_fits_one_of_its_secrets() -> None:
    body, secret = b'{"a": 1}', "made-up-by-vercel"
    right = hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
    assert is_signed_by_vercel(body, right, ("", secret))
    assert not is_signed_by_vercel(body, right, ("", "another"))
    empty = hmac.new(b"", body, hashlib.sha1).hexdigest()
    assert not is_signed_by_vercel(body, empty, ("", secret))  # no secret is no empty secret


def test_form_of_github_is_read_as_its_json() -> None:
    form = urlencode({"payload": _github("success").decode()}).encode()
    assert _facts(read_github(form, "deployment_status", "d-1", RECEIPT)) == ("deploy", "info", "prod", SHA)
    with pytest.raises(InvalidEvent):
        read_github(b"payload=", "deployment_status", "d-1", RECEIPT)


def test_environment_has_one_name_in_a_deploys_id() -> None:
    def identity(environment: str) -> object:
        body = orjson.dumps({"release": "7.7.7", "environment": environment})
        [event] = read_deploy(body, RECEIPT).events
        return event["event_id"]

    assert identity("prod") == identity("production") == identity("Live")
    assert identity("staging") != identity("prod")
    assert identity("eu-prod") != identity("us-prod")


def test_services_with_one_release_are_two_deploys() -> None:
    hooks = [
        orjson.dumps({"release": "7", "service": name, "previous": "6", "by": "ci"})
        for name in ("web", "worker")
    ]
    web, worker = (read_deploy(hook, RECEIPT).events[0] for hook in hooks)
    assert web["event_id"] != worker["event_id"]
    assert isinstance(web["payload"], dict)
    named = {name: web["payload"][name] for name in ("service", "previous", "by")}
    assert named == {"service": "web", "previous": "6", "by": "ci"}


def test_redelivered_github_deployment_is_one_deploy() -> None:
    """The header that names a delivery is not signed."""
    body = orjson.dumps(
        {"deployment_status": {"id": 7, "state": "success"}, "deployment": {"id": 3, "sha": "a" * 40}}
    )
    ids = {
        read_github(body, "deployment_status", delivery, RECEIPT).events[0]["event_id"] for delivery in "ab"
    }
    assert len(ids) == 1


@pytest.mark.parametrize("status", ["canceled", "cancelled", "skipped", "in_progress"])
def test_unfinished_job_of_the_own_hook_is_ignored(status: str) -> None:
    reading = read_deploy(orjson.dumps({"release": "1", "status": status}), RECEIPT)
    assert (reading.events, reading.ignored) == ([], {f"hook {status}": 1})


def test_hash_of_a_commit_stands_in_the_message() -> None:
    commit = "a84d88e7554fc1fa21bcbc4efae3c782a70d2b9d"
    reading = read_deploy(orjson.dumps({"release": commit}), RECEIPT)
    assert reading.events[0]["message"] == f"Deployed: {commit} (prod)"
