"""Words for findings: each cause as one sentence with its numbers, and what was cleared."""

from collections.abc import Iterator
from typing import Final

from signals.domain.findings.causes import Cause, CauseMessage, Findings
from signals.domain.findings.comparison import Comparison
from signals.domain.findings.segments import Segment
from signals.domain.findings.shifts import RequestSurge
from signals.domain.findings.suspects import Cleared, Suspect
from signals.domain.summary.wording import (
    change_of,
    clock,
    group_of,
    minutes_of,
    numbers_of,
    percent,
    suspect_of,
)

MAX_NAMES: Final = 8  # of what was compared, in a sentence
TOO_FEW: Final = "there are too few working requests to compare with"


def sentence_of(cause: Cause, comparison: Comparison) -> str:
    """Say one cause: where, since when, how much, by what, and after what."""
    return " ".join(_sentences(cause, comparison))


def cleared_sentence(item: Cleared) -> str:
    """Say why a change is not the cause."""
    what, cells = change_of(item.change.labels, item.change.kind, item.change.text), item.cells
    match item.why:
        case "alike" if cells is not None:
            return (
                f"Not {what}: requests with and without it fail alike "
                f"({percent(cells.rate_in)} and {percent(cells.rate_out)})."
            )
        case "served":
            return f"Not {what}: it served {item.served} requests without these failures before they began."
        case "absent":
            return f"Not {what}: none of the failing requests carry it."
        case "elsewhere":
            return f"Not {what}: it names another part than the one that fails."
        case _:
            return f"Unlikely {what}: it came {item.minutes} minutes before the failures began."


def nothing_sentence(findings: Findings) -> str:
    """Say that no cause is visible, and what was compared."""
    comparison = findings.comparison
    names = ", ".join(findings.compared[:MAX_NAMES]) or "nothing, since the events carry no common attributes"
    if findings.reference == "nothing":
        return (
            "No cause is visible: there are neither working requests nor earlier errors to compare with. "
            "Send working requests with the same attributes to make causes visible."
        )
    against = (
        f"{comparison.working.total} working requests of the same minutes and "
        f"{comparison.working_before.total} of the hour before"
        if findings.reference == "working"
        else f"{comparison.route_errors_before.total} errors of the route in the hour before"
    )
    lost = "signups that stay away" if comparison.is_drop else "failing"
    return f"No cause is visible: nothing sets the {lost} apart. Compared: {names}, with {against}."


def _sentences(cause: Cause, comparison: Comparison) -> Iterator[str]:
    since = f"since {clock(comparison.onset.minute)}"
    slowly = ", growing slowly" if comparison.onset.is_ramp else ""
    if cause.lost:
        yield from _lost(cause, since)
    elif cause.segment is not None and cause.surge is not None:
        yield _grown(cause.segment, cause.surge, since + slowly, comparison)
    elif cause.segment is not None:
        yield from _where(cause.segment, since + slowly, comparison)
    elif cause.surge is not None:
        by = f", most of them with {cause.surge.label}" if cause.surge.label else ""
        yield (
            f"Requests rose from {cause.surge.usual:.0f} to {cause.surge.rate:.0f} a minute {since}{by}, "
            "and with them the failures: more traffic or load than the service carries."
        )
    elif cause.coincidence is not None and cause.mechanism is None and cause.message is None:
        yield f"No cause is visible in the requests: {_unlike(comparison)}."
    elif cause.mechanism is not None or cause.message is not None:
        if comparison.has_working:
            yield f"Failures {since}{slowly} are spread over all requests of the route alike."
        else:
            yield f"Failures came {since}{slowly}: {TOO_FEW}."
    if cause.mechanism is not None:
        mechanism = cause.mechanism
        yield (
            f"{percent(mechanism.share)} of the failing name {mechanism.label}, "
            f"{percent(mechanism.share_before)} of the errors in the hour before."
        )
    if cause.message is not None:
        yield _said(cause.message)
    if cause.change is not None:
        yield _after(cause.change, alone=cause.segment is None and cause.message is None)
    if cause.coincidence is not None:
        unseen = "" if cause.coincidence.is_carried else ", which none of these requests carries,"
        yield (
            f"{_capital(suspect_of(cause.coincidence))}{unseen} came "
            f"{minutes_of(cause.coincidence.minutes)} before: it may have set this off, or be coincidence."
        )


def _where(segment: Segment, since: str, comparison: Comparison) -> Iterator[str]:
    group, cells = group_of(segment), segment.cells
    twins = f" (the same requests carry {' and '.join(segment.twins)})" if segment.twins else ""
    if segment.reference == "errors":
        before = percent(cells.working_in / max(1, cells.working_in + cells.working_out))
        yield (
            f"{percent(cells.coverage)} of the failing {since} carry {group}{twins}, but only {before} of "
            "the route's errors before; there is no working traffic to compare with."
        )
    elif segment.reference == "before":
        served = cells.working_in + cells.working_out
        yield (
            f"Requests with {group}{twins} fail {since}: {percent(cells.coverage)} of the failing carry it, "
            f"and {percent(cells.working_in / max(1, served))} of the {served} working requests in the hour "
            "before."
        )
    else:
        yield f"Requests with {group}{twins} fail {since}: {numbers_of(segment)}."


def _grown(segment: Segment, surge: RequestSurge, since: str, comparison: Comparison) -> str:
    label = segment.labels[0]
    failed = comparison.failing_before.labels.get(label, 0)
    before = failed + comparison.working_before.labels.get(label, 0)
    return (
        f"Requests with {group_of(segment)} rose from {surge.usual:.1f} to {surge.rate:.1f} a minute "
        f"{since}, and fail as in the hour before ({percent(failed / before)}): {numbers_of(segment)}."
    )


def _lost(cause: Cause, since: str) -> Iterator[str]:
    if cause.segment is not None:
        cells = cause.segment.cells
        yield (
            f"Signups with {group_of(cause.segment)} stay away {since}: about {cells.failing_in} of about "
            f"{cells.failing} missing ones, {cells.working_in} still came."
        )
    elif cause.message is not None and cause.elsewhere:
        yield f"Signups stay away {since}; errors rose on other routes in the same minutes."
    elif cause.message is not None:
        yield f"Signups fail {since}: errors rose in the same minutes."


def _said(message: CauseMessage) -> str:
    before = f"{message.before} time{'s' if message.before > 1 else ''} in the hour before"
    said = f"{message.count} times, {before}" if message.before else "new"
    return f"{percent(message.share)} of the failing say “{message.text}” ({said})."


def _unlike(comparison: Comparison) -> str:
    return "nothing sets the failing apart" if comparison.has_working else TOO_FEW


def _after(suspect: Suspect, *, alone: bool) -> str:
    began = f"It began {minutes_of(suspect.minutes)} after {suspect_of(suspect)}."
    return f"{began} Nothing else sets the failing apart." if alone else began


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
