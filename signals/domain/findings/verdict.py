"""Turns a comparison into findings: ranked causes, cleared suspects, or none that is visible."""

from dataclasses import replace
from typing import Final

from signals.domain.findings.causes import Cause, CauseMessage, Findings
from signals.domain.findings.combinations import best_segments
from signals.domain.findings.comparison import Comparison
from signals.domain.findings.confidence import confidence_of
from signals.domain.findings.drops import drop_causes
from signals.domain.findings.mechanisms import Mechanism, mechanisms
from signals.domain.findings.quoting import is_specific, quotable, restored
from signals.domain.findings.segments import Segment, compared_names
from signals.domain.findings.shifts import against_errors, replacement, surge, with_reference
from signals.domain.findings.suspects import CLOSE_MINUTES, Suspect, judge
from signals.domain.findings.templates import grouped

MAX_CAUSES: Final = 4
MAX_CLEARED: Final = 3
MIN_MESSAGE: Final = 0.5  # share of the failing that a quoted message must have
NEW_SHARE: Final = 0.1  # of today's share, among the errors of the hour before


def find(comparison: Comparison) -> Findings:
    """Find what sets the failing apart. Pure and bounded: a few thousand pairs of labels at most."""
    if comparison.is_drop:
        return _drop(comparison)
    compared = comparison if comparison.has_working else against_errors(comparison)
    segments, _ = best_segments(compared)
    if not comparison.has_working:
        segments = [with_reference(segment) for segment in segments]
    elif not segments:
        replaced = replacement(comparison)
        segments = [replaced] if replaced else []
    message = message_of(comparison)
    found = mechanisms(comparison, message.text if message else None)
    said = [*comparison.failing.templates, *comparison.words[:1], *(item.label for item in found)]
    suspects, cleared = judge(comparison, segments, said)
    causes = (
        _by_segment(segments, message, found, suspects)
        if segments
        else _without_segment(comparison, message, found, suspects)
    )
    return Findings(
        causes=tuple(replace(cause, confidence=confidence_of(cause)) for cause in causes[:MAX_CAUSES]),
        cleared=tuple(cleared[:MAX_CLEARED]),
        compared=compared_names(compared),
        comparison=comparison,
        reference="working" if comparison.has_working else "errors" if compared.working.total else "nothing",
    )


def message_of(comparison: Comparison) -> CauseMessage | None:
    """Return the message that most of the failing share, if it says more than that something failed."""
    failing, errors = comparison.failing, comparison.errors_before
    groups = grouped(failing.templates)
    top = next(iter(groups), None)
    if top is None or not is_specific(top, comparison.words):
        return None
    sampled = [m for template, found in comparison.samples.items() if top in template for m in found]
    text = quotable(restored(top, sampled))
    share = groups[top] / failing.total
    if text is None or share < MIN_MESSAGE:
        return None
    before = sum(count for template, count in errors.templates.items() if top in template)
    is_new = before < NEW_SHARE * share * max(errors.total, 1)
    return CauseMessage(text=text, share=share, count=groups[top], before=before, is_new=is_new)


def _by_segment(
    segments: list[Segment], message: CauseMessage | None, found: list[Mechanism], suspects: list[Suspect]
) -> list[Cause]:
    linked = next((suspect for suspect in suspects if suspect.linked), None)
    near = next((suspect for suspect in suspects if suspect.minutes <= CLOSE_MINUTES), None)
    causes = [
        Cause(
            confidence=0,
            segment=segment,
            mechanism=found[0] if found and len(segments) == 1 else None,
            message=message if len(segments) == 1 else None,
            change=linked if index == 0 else None,
            coincidence=near if linked is None and index == 0 else None,
        )
        for index, segment in enumerate(segments)
    ]
    used = {id(causes[0].change), id(causes[0].coincidence)}
    others = [
        Cause(confidence=0, change=suspect)
        for suspect in suspects
        if suspect.linked and id(suspect) not in used
    ]
    return [*causes, *others]


def _without_segment(
    comparison: Comparison, message: CauseMessage | None, found: list[Mechanism], suspects: list[Suspect]
) -> list[Cause]:
    risen = surge(comparison)
    near = [suspect for suspect in suspects if suspect.linked or suspect.minutes <= CLOSE_MINUTES]
    if comparison.onset.is_ramp:
        near = near or suspects[:1]
    best = near[0] if near else None
    if not (found or message or risen or best):
        return []
    # Beside a cause of its own, a change without a link to it is reported as a mere change.
    alone = not (found or message or risen)
    asserted = best is not None and (best.linked or (alone and best.leads))
    first = Cause(
        confidence=0,
        mechanism=found[0] if found else None,
        message=message,
        surge=risen,
        change=best if asserted else None,
        coincidence=None if asserted else best,
    )
    return [first, *(Cause(confidence=0, change=suspect) for suspect in near[1:] if suspect.leads)]


def _drop(comparison: Comparison) -> Findings:
    causes, cleared, compared = drop_causes(comparison)
    return Findings(
        causes=tuple(replace(cause, confidence=confidence_of(cause)) for cause in causes[:MAX_CAUSES]),
        cleared=tuple(cleared[:MAX_CLEARED]),
        compared=compared,
        comparison=comparison,
        reference="working" if comparison.working_before.total else "nothing",
    )
