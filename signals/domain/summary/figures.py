"""Findings as data, beside the sentences: counts, rates, links; a page draws them, a script reads them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args
from urllib.parse import urlencode
from uuid import UUID

from signals.domain.detection.buckets import instant_of
from signals.domain.findings.causes import Cause, Findings
from signals.domain.findings.segments import Form, Segment
from signals.domain.findings.statistics import Cells
from signals.domain.queries.search import search_filters, working_filters
from signals.domain.summary.brief import Brief
from signals.domain.summary.causes import sentence_of
from signals.domain.summary.exhibits import cause_key
from signals.domain.summary.wording import group_of, minutes_of, numbers_of

DIGITS: Final = 4  # of a share
COUNTS: Final = ("failing_inside", "failing_outside", "working_inside", "working_outside")
CELLS: Final = ("failing_in", "failing_out", "working_in", "working_out")
FORMS: Final[tuple[Form, ...]] = get_args(Form)
BESIDE: Final = {"working": "working requests", "errors": "the errors before"}
MAX_LINKED: Final = 2  # causes with links, as many as have steps


def figures_of(brief: Brief, findings: Findings, notes: Sequence[str]) -> dict[str, object]:
    """Return what was compared, each cause with its numbers, and links to look further."""
    comparison = findings.comparison
    return {
        "first_bad_at": instant_of(comparison.onset.minute).isoformat(),
        "last_compared_at": instant_of(comparison.now).isoformat(),
        "reference": findings.reference,
        "compared": {
            "names": list(findings.compared),
            "failing": comparison.failing.total,
            "working": comparison.working.total,
            "working_before": comparison.working_before.total,
            "errors_before": comparison.errors_before.total,
        },
        "affected": dict(comparison.distinct),
        "causes": [_cause(cause, findings) for cause in findings.causes],
        "cleared": [
            {"event_id": item.change.event_id, "kind": item.change.kind, "why": item.why}
            for item in findings.cleared
        ],
        "notes": list(notes),
        "links": list(_links(brief, findings)),
    }


def _cause(cause: Cause, findings: Findings) -> dict[str, object]:
    change = cause.change or cause.coincidence
    return {
        "says": sentence_of(cause, findings.comparison),
        "confidence": round(cause.confidence, DIGITS),
        "group": None if cause.segment is None else _group(cause.segment),
        "names": cause.mechanism and cause.mechanism.label,
        "message": cause.message and cause.message.text,
        "change": change
        and {
            "event_id": change.change.event_id,
            "kind": change.change.kind,
            "minutes_before": change.minutes,
            "is_linked": change.linked,
        },
    }


def _group(segment: Segment) -> dict[str, object]:
    cells, explained = segment.cells, segment.explained
    shares = (explained.value, explained.low, explained.high)
    return {
        "form": segment.form,
        "labels": list(segment.labels),
        "same_requests": list(segment.twins),
        "failing_inside": cells.failing_in,
        "failing_outside": cells.failing_out,
        "working_inside": cells.working_in,
        "working_outside": cells.working_out,
        "rate_inside": round(cells.rate_in, DIGITS),
        "rate_outside": round(cells.rate_out, DIGITS),
        "explained": [round(share, DIGITS) for share in shares],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGroup:
    """A group that a stored cause names: its share among the failing beside the usual one, both 0 to 1.

    The usual share is that among working requests, or among `beside` where too few worked. `key` is that of
    the cause's figure, `numbers` are its counts. The failures began `after` the deploy with `deploy_id`.
    """

    key: str
    name: str
    share: float
    usual: float
    failing: int
    beside: str
    numbers: str = ""
    deploy_id: UUID | None = None
    after: str = ""


def stored_groups(found: object) -> Iterator[StoredGroup]:
    """Yield the groups of causes that were stored as `figures_of` writes them, best first.

    A group without counts is left out, and so is anything of another shape: the text may be of any release.
    """
    findings: Mapping[str, Any] = found if isinstance(found, dict) else {}
    beside = BESIDE.get(str(findings.get("reference")), BESIDE["working"])
    for place, cause in enumerate(findings.get("causes") or (), start=1):
        segment = _stored_segment(cause.get("group") if isinstance(cause, dict) else None)
        if segment is not None:
            cells, says = segment.cells, str(cause.get("says") or "")
            working = cells.working_in + cells.working_out
            rates, deploy = numbers_of(segment), _stored_deploy(cause.get("change"))
            yield StoredGroup(
                key=cause_key(place),
                name=group_of(segment),
                share=cells.coverage,
                usual=cells.working_in / working if working else 0.0,
                failing=cells.failing_in,
                beside=beside,
                numbers=rates if rates in says else _counts(cells, beside),
                deploy_id=deploy and deploy[0],
                after=deploy[1] if deploy else "",
            )


def _counts(cells: Cells, beside: str) -> str:
    working = cells.working_in + cells.working_out
    return f"{cells.failing_in} of {cells.failing} failing, {cells.working_in} of {working} {beside}"


def _stored_deploy(change: object) -> tuple[UUID, str] | None:
    """Return the deploy that a cause names, and how long after it the failures began."""
    if not isinstance(change, dict) or change.get("kind") != "deploy":
        return None
    minutes = change.get("minutes_before")
    try:
        return UUID(str(change.get("event_id"))), minutes_of(minutes) if isinstance(minutes, int) else ""
    except ValueError:
        return None


def _stored_segment(group: object) -> Segment | None:
    if not isinstance(group, dict):
        return None
    form = next((one for one in FORMS if one == group.get("form")), None)
    labels = [one for one in group.get("labels") or () if isinstance(one, str)]
    counts = [one for name in COUNTS if isinstance(one := group.get(name), int)]
    if form is None or not labels or len(counts) < len(COUNTS):
        return None
    cells = Cells(**dict(zip(CELLS, counts, strict=True)))
    return Segment(form=form, labels=tuple(labels), cells=cells, net=0.0)


def _links(brief: Brief, findings: Findings) -> Iterator[dict[str, str]]:
    """Yield links of our own API: failing and working events of each group, and deploys."""
    comparison, parts = findings.comparison, brief.incident.parts
    since = instant_of(comparison.onset.minute).isoformat()
    for cause in findings.causes[:MAX_LINKED]:
        segment = cause.segment
        if segment is not None and segment.form != "absence":
            # Values of one key are alternatives in a search: of two labels together, the first must do.
            shown = segment.labels[:1] if segment.form == "pair" else segment.labels
            labels = " ".join(f'label:"{label}"' for label in shown)
            if not cause.lost:
                yield _search(
                    f"failing events with {segment.labels[0]}", f"{search_filters(parts)} {labels}", since
                )
                works = f"{working_filters(parts)} {labels}"
                yield _search(f"working requests with {segment.labels[0]}", works, since)
            else:
                yield _search(f"signups with {segment.labels[0]}", f"{search_filters(parts)} {labels}", since)
        for suspect in (cause.change, cause.coincidence):
            if suspect is not None and suspect.change.kind == "deploy":
                yield {
                    "text": "the deploy, and what it changed",
                    "href": f"/v1/deploys/{suspect.change.event_id}",
                }


def _search(text: str, filters: str, since: str) -> dict[str, str]:
    return {"text": text, "href": f"/v1/search/events?{urlencode({'filters': filters, 'since': since})}"}
