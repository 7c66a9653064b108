"""Reads deploy hooks: our own generic one, GitHub, GitLab and Vercel.

Sources: GitHub "Webhook events and payloads" (deployment_status, release), GitLab "Webhook events"
(deployment, release), Vercel "Webhooks API"; the vendors' published examples, not recordings.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from shared_types import InvalidEvent
from signals.domain.events.deploy_reports import DeployReport, deploy_reading, ignored_hook
from signals.domain.events.foreign import (
    ForeignReading,
    Receipt,
    derived_id,
    environment_of,
    instant_of,
    known_word,
    member,
    occurred_at,
    skew_of,
)
from signals.domain.events.loose_json import read_object
from signals.domain.events.masking import text_of

HookPayload = Mapping[str, object]

_SUCCEEDED: Final = frozenset({"success", "succeeded", "ok", "done", "ready", ""})
_FAILED: Final = frozenset({"failure", "failed", "error", "rolled_back"})
_UNFINISHED: Final = frozenset(
    {
        "pending",
        "in_progress",
        "queued",
        "waiting",
        "inactive",
        "created",
        "running",
        "canceled",
        "cancelled",
        "blocked",
        "skipped",
    }
)
_GITHUB: Final = frozenset({"ping", "push", "deployment", "release", "workflow_run"})
_GITLAB: Final = frozenset({"deployment", "release", "push", "pipeline"})
_TARGETS: Final = {"production": "production", "staging": "staging"}
_SHA_CHARS: Final = 40
_FORM: Final = b"payload="


def read_deploy(body: bytes, receipt: Receipt) -> ForeignReading:
    """Read our own hook.

    Members: `release`, and optionally `environment`, `service`, `status`, `previous`, `by`, `url`,
    `occurred_at` and `id`.

    Without an `id`, the same release of a service to the same environment within an hour is one deploy.

    Raises InvalidEvent when the body is no JSON object, names no release, or its status is unknown.
    """
    payload = read_object(body)
    named = payload.get("release")
    release = "" if isinstance(named, (dict, list)) else text_of(named).strip()
    if not release:
        raise InvalidEvent("missing", "release", "release is required: a version, a tag or a commit.")
    status = text_of(payload.get("status")).strip().lower()
    if status in _UNFINISHED:  # a CI line that passes its job's status along
        return ignored_hook(f"hook {status}")
    if status not in _SUCCEEDED | _FAILED:
        raise InvalidEvent("unknown_value", "status", "status must be success or failure.")
    instant = instant_of(payload.get("occurred_at"))
    hour = occurred_at(instant, skew_of(None, receipt), receipt)[:13]
    environment, service = text_of(payload.get("environment")), text_of(payload.get("service")).strip()
    own_id = text_of(payload.get("id")).strip()
    outcome = "failure" if status in _FAILED else "success"
    mapped, is_known = environment_of(environment, receipt.environment)
    place = mapped if is_known else environment  # two that are only guessed to be production are two
    name = ("id", own_id) if own_id else ("hour", release, place, outcome, hour, service)
    return deploy_reading(
        receipt,
        DeployReport(
            identity=derived_id(receipt, "deploy", *name),
            release=release,
            environment=environment,
            is_failed=status in _FAILED,
            instant=payload.get("occurred_at"),
            url=payload.get("url"),
            source="hook",
            service=service,
            previous=payload.get("previous"),
            by=payload.get("by"),
        ),
    )


def read_github(body: bytes, event: str, delivery: str, receipt: Receipt) -> ForeignReading:
    """Read a webhook of GitHub; `event` and `delivery` are its headers. Its body is JSON or a form.

    Raises InvalidEvent when the body is no JSON object.
    """
    payload = read_object(_of_form(body) if body.startswith(_FORM) else body)
    if event == "deployment_status":
        return _github_status(payload, _github_name(payload) or (delivery or body,), receipt)
    if event == "release" and payload.get("action") in ("published", "released"):
        return deploy_reading(
            receipt,
            # Both actions come for one release.
            DeployReport(
                identity=derived_id(receipt, "github release", text_of(member(payload, "release", "id"))),
                release=text_of(member(payload, "release", "tag_name")),
                environment="production",
                is_failed=False,
                instant=member(payload, "release", "published_at"),
                url=member(payload, "release", "html_url"),
                source="github",
            ),
        )
    return ignored_hook(f"github {known_word(event, _GITHUB)}")


def _of_form(body: bytes) -> bytes:
    """Return the JSON of a form, which GitHub sends unless told otherwise."""
    try:
        return parse_qs(body, max_num_fields=1).get(b"payload", [b""])[0]
    except ValueError as error:
        raise InvalidEvent("malformed_form", None, "The form is no payload; send JSON.") from error


def _github_name(payload: HookPayload) -> tuple[str, ...] | None:
    """Return what names a deployment in the signed body; None without an id there."""
    own_id = text_of(member(payload, "deployment", "id"))
    repository = text_of(member(payload, "repository", "id"))
    state = text_of(member(payload, "deployment_status", "state")).lower()
    return ("deployment", repository, own_id, state) if own_id else None


def _github_status(payload: HookPayload, name: tuple[str | bytes, ...], receipt: Receipt) -> ForeignReading:
    state = text_of(member(payload, "deployment_status", "state")).lower()
    if state not in _SUCCEEDED | _FAILED or not state:
        return ignored_hook(f"github deployment {known_word(state, _UNFINISHED)}")
    return deploy_reading(
        receipt,
        DeployReport(
            identity=derived_id(receipt, "github", *name),
            release=text_of(member(payload, "deployment", "sha"))[:_SHA_CHARS],
            environment=text_of(member(payload, "deployment_status", "environment"))
            or text_of(member(payload, "deployment", "environment")),
            is_failed=state in _FAILED,
            instant=member(payload, "deployment_status", "created_at"),
            url=member(payload, "deployment_status", "target_url"),
            source="github",
            by=member(payload, "deployment", "creator", "login"),
        ),
    )


def read_gitlab(body: bytes, receipt: Receipt) -> ForeignReading:
    """Read a webhook of GitLab. Raises InvalidEvent when the body is no JSON object."""
    payload = read_object(body)
    kind = text_of(payload.get("object_kind"))
    if kind == "release" and payload.get("action") == "create":
        return deploy_reading(
            receipt,
            DeployReport(
                identity=derived_id(
                    receipt,
                    "gitlab release",
                    text_of(member(payload, "project", "id")),
                    text_of(payload.get("tag")),
                ),
                release=text_of(payload.get("tag")),
                environment="production",
                is_failed=False,
                instant=_gitlab_instant(payload.get("released_at")),
                url=payload.get("url"),
                source="gitlab",
            ),
        )
    status = text_of(payload.get("status")).lower()
    if kind != "deployment" or status not in _SUCCEEDED | _FAILED or not status:
        return ignored_hook(f"gitlab {known_word(kind, _GITLAB)} {known_word(status, _UNFINISHED)}")
    commit = text_of(payload.get("commit_url")).rpartition("/")[2]
    return deploy_reading(
        receipt,
        DeployReport(
            identity=derived_id(
                receipt,
                "gitlab",
                text_of(member(payload, "project", "id")),
                text_of(payload.get("deployment_id")),
                status,
            ),
            release=commit or text_of(payload.get("short_sha")) or text_of(payload.get("ref")),
            environment=text_of(payload.get("environment_tier")) or text_of(payload.get("environment")),
            is_failed=status in _FAILED,
            instant=_gitlab_instant(payload.get("status_changed_at")),
            url=payload.get("deployable_url"),
            source="gitlab",
            by=member(payload, "user", "username"),
        ),
    )


def _gitlab_instant(value: object) -> object:
    """Rewrite `2021-04-28 21:50:00 +0200` or `… UTC` as ISO 8601 has it."""
    return text_of(value).replace(" UTC", "+00:00").replace(" +", "+").replace(" -", "-")


def read_vercel(body: bytes, receipt: Receipt) -> ForeignReading:
    """Read a webhook of Vercel. Raises InvalidEvent when the body is no JSON object."""
    payload = read_object(body)
    kind = text_of(payload.get("type"))
    if kind not in ("deployment.succeeded", "deployment.error"):
        return ignored_hook("vercel other")
    inner = payload.get("payload")
    meta = member(inner, "deployment", "meta")
    shas = (member(meta, name) for name in ("githubCommitSha", "gitlabCommitSha", "bitbucketCommitSha"))
    release = next((text_of(sha) for sha in shas if sha), "") or text_of(member(inner, "deployment", "id"))
    url = text_of(member(inner, "deployment", "url")) or text_of(member(inner, "url"))
    return deploy_reading(
        receipt,
        DeployReport(
            identity=derived_id(receipt, "vercel", text_of(payload.get("id")) or body),
            release=release,
            environment=_TARGETS.get(text_of(member(inner, "target")), "preview"),
            is_failed=kind == "deployment.error",
            instant=payload.get("createdAt"),
            url=f"https://{url}" if url and "://" not in url else url,
            source="vercel",
        ),
    )
