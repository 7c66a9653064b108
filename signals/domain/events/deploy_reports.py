"""Maps a deploy that any hook reports onto our envelope's input form."""

from dataclasses import dataclass

from shared_types.envelope import LABEL_CHARS
from signals.domain.events.foreign import (
    ForeignReading,
    RawEvent,
    Receipt,
    count,
    environment_of,
    instant_of,
    occurred_at,
    skew_of,
)
from signals.domain.events.masking import label, masked, text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployReport:
    """One deploy as a hook reports it; `identity` is its event id, `instant` as the hook writes it."""

    identity: str
    release: str
    environment: str
    is_failed: bool
    instant: object
    url: object
    source: str
    service: str = ""
    previous: object = None
    by: object = None


def deploy_reading(receipt: Receipt, deploy: DeployReport) -> ForeignReading:
    """Return the deploy as an event, or its refusal when it names no release."""
    mapped, is_known = environment_of(deploy.environment, receipt.environment)
    name = label(deploy.release, LABEL_CHARS)
    if name is None:
        return ForeignReading(refused=ignored_hook(f"{deploy.source} deploy without a release").ignored)
    verb = "Deploy failed" if deploy.is_failed else "Deployed"
    payload: dict[str, object] = {
        "door": "deploys",
        "source": deploy.source,
        "status": "failure" if deploy.is_failed else "success",
    }
    if link := masked(text_of(deploy.url)):
        payload["url"] = link
    texts = {"service": deploy.service, "previous": deploy.previous, "by": deploy.by}
    payload |= {
        name: found for name, text in texts.items() if (found := label(masked(text_of(text)), LABEL_CHARS))
    }
    if not is_known:
        payload["environment_name"] = masked(deploy.environment)
    event: RawEvent = {
        "event_id": deploy.identity,
        "occurred_at": occurred_at(instant_of(deploy.instant), skew_of(None, receipt), receipt),
        "environment": mapped,
        "event_type": "deploy",
        "severity": "error" if deploy.is_failed else "info",
        "message": f"{verb}: {name} ({mapped})",
        "attributes": {"release": name},
        "payload": payload,
    }
    return ForeignReading(events=[event])


def ignored_hook(reason: str) -> ForeignReading:
    """Return the reading of a hook that reports no finished deploy."""
    reading = ForeignReading()
    count(reading.ignored, reason)
    return reading
