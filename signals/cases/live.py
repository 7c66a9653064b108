"""Answers a case by a running product: events over HTTP, its engine and index, and the summary read back."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from psycopg_pool import ConnectionPool

from signals.cases.answering import AnswerableCase
from signals.clients.postgres import Connection
from signals.domain.access.scopes import Scope
from signals.errors import DependencyUnavailable, SettingsError
from signals.services.access.provisioning import create_org, create_project, issue_key

ORG: Final = "ai-eval"
BATCH: Final = 500  # events a request
TIMEOUT_S: Final = 30.0
POLL_S: Final = 0.5
RETRIES: Final = 20
SETTLED_S: Final = 6.0  # without another job: a rise in severity summarizes again
NO_HURRY: Final = frozenset({429, 503})
MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveProduct:
    """Base URLs of both APIs, and the database in which each case gets a project of its own."""

    ingest_url: str
    core_url: str
    pool: ConnectionPool[Connection]
    within_s: float = 180.0

    def __post_init__(self) -> None:
        """Refuse addresses that are none.

        Raises:
            SettingsError: naming the variable.
        """
        for name, url in (("INGEST_API_URL", self.ingest_url), ("CORE_API_URL", self.core_url)):
            if urlsplit(url).scheme not in ("http", "https"):
                raise SettingsError(f"{name} must begin with http:// or https://")


def answer_live(product: LiveProduct, case: AnswerableCase) -> dict[str, Any] | None:
    """Send a case as if it ended now, and return the summary of its incident; None when none opened.

    Raises:
        DependencyUnavailable: when an API does not answer.
    """
    project = f"case-{case.name}-{int(time.time())}"[:64]
    create_org(product.pool, ORG, "Evaluation of summaries")
    create_project(product.pool, project, org_id=ORG, name=case.name)
    ingest = issue_key(product.pool, project, Scope.INGEST).text
    read = issue_key(product.pool, project, Scope.READ).text
    for batch in _batches(_shifted(case.events)):
        _post(f"{product.ingest_url.rstrip('/')}/v1/events/batch", ingest, batch)
    end = time.monotonic() + product.within_s
    while time.monotonic() < end:
        summary = _summary(product.core_url.rstrip("/"), read, case.fingerprint)
        if summary is not None:
            return summary
        time.sleep(POLL_S)
    return None


def _shifted(events: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Move the events by whole minutes, so that the last one occurs in the present minute."""
    last = datetime.fromisoformat(events[-1]["occurred_at"])
    shift = ((datetime.now(UTC) - last) // MINUTE) * MINUTE
    for event in events:
        moved = datetime.fromisoformat(event["occurred_at"]) + shift
        known = {name: value for name, value in event.items() if name != "received_at"}
        yield {**known, "occurred_at": moved.isoformat()}


def _batches(events: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for event in events:
        batch.append(event)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _summary(url: str, key: str, fingerprint: str) -> dict[str, Any] | None:
    """Return the summary once no job is under way and none has been for a while."""
    found = _get(f"{url}/v1/incidents?limit=50", key)["incidents"]
    incident = next((row for row in found if row["fingerprint"] == fingerprint), None)
    if incident is None:
        return None
    detail = _get(f"{url}/v1/incidents/{incident['id']}", key)
    jobs = detail["ai_jobs"]
    if not jobs or any(job["status"] in ("queued", "running") for job in jobs):
        return None
    changed = max(datetime.fromisoformat(job["updated_at"]) for job in jobs)
    if (datetime.now(UTC) - changed).total_seconds() < SETTLED_S or detail["summary"] is None:
        return None
    content: dict[str, Any] = detail["summary"]["content"]
    return content


def _post(url: str, key: str, events: Sequence[dict[str, Any]]) -> None:
    body = json.dumps(events).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    for _ in range(RETRIES):
        try:
            _open(Request(url, data=body, headers=headers))  # noqa: S310  # the scheme was checked
        except HTTPError as error:
            with error:
                if error.code not in NO_HURRY:
                    raise DependencyUnavailable("ingest-api", f"it answered {error.code}") from error
            time.sleep(POLL_S)
        else:
            return
    raise DependencyUnavailable("ingest-api", "it takes no events for a while")


def _get(url: str, key: str) -> Any:
    try:
        return _open(Request(url, headers={"Authorization": f"Bearer {key}"}))  # noqa: S310  # checked
    except HTTPError as error:
        with error:
            raise DependencyUnavailable("core-api", f"it answered {error.code}") from error


def _open(request: Request) -> Any:
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310  # the scheme was checked
            return json.load(answer)
    except HTTPError:
        raise
    except (URLError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        where = urlsplit(request.full_url).netloc
        raise DependencyUnavailable("the product", f"{reason} ({where}); start it: signals up") from error
