"""Turns a comparison into findings: ranked causes, cleared suspects, or none that is visible."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from signals.domain.findings.causes import Cause, CauseMessage, ComparedWith, Findings
from signals.domain.findings.combinations import best_segments
from signals.domain.findings.comparison import BEFORE_MINUTES, Comparison
from signals.domain.findings.confidence import confidence_of
from signals.domain.findings.drops import drop_causes
from signals.domain.findings.mechanisms import Mechanism, mechanisms
from signals.domain.findings.quoting import is_specific, quotable, restored
from signals.domain.findings.segments import Segment, compared_names
from signals.domain.findings.shifts import against_errors, growth, replacement, surge, with_reference
from signals.domain.findings.suspects import CLOSE_MINUTES, Suspect, judge
from signals.domain.findings.templates import grouped

MAX_CAUSES: Final = 4
MAX_CLEARED: Final = 3
MIN_MESSAGE: Final = 0.5  # share of the failing that a quoted message must have
NEW_SHARE: Final = 0.1  # of the times that an hour would hold at the present rate


def find(comparison: Comparison) -> Findings:
    """Find what sets the failing apart. Pure and bounded: a few thousand pairs of labels at most."""
    if comparison.is_drop:
        return _drop(comparison)
    compared = comparison if comparison.has_working else against_errors(comparison)
    segments = best_segments(compared, absences=comparison.has_working)
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
        _by_segment(comparison, segments, message, found, suspects)
        if segments
        else _without_segment(comparison, message, found, suspects)
    )
    reference: ComparedWith = "working" if comparison.has_working else _without_working(compared)
    return Findings(
        causes=_weighed(causes, reference),
        cleared=tuple(cleared[:MAX_CLEARED]),
        compared=compared_names(compared),
        comparison=comparison,
        reference=reference,
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
    # Held against its own rate: the errors of other routes make no message newer.
    is_new = before < NEW_SHARE * groups[top] * BEFORE_MINUTES / comparison.minutes
    return CauseMessage(text=text, share=share, count=groups[top], before=before, is_new=is_new)


def _by_segment(
    comparison: Comparison,
    segments: list[Segment],
    message: CauseMessage | None,
    found: list[Mechanism],
    suspects: list[Suspect],
) -> list[Cause]:
    linked = next((suspect for suspect in suspects if suspect.linked), None)
    near = next((suspect for suspect in suspects if suspect.minutes <= CLOSE_MINUTES), None)
    causes = [
        Cause(
            confidence=0,
            segment=segment,
            mechanism=found[0] if found and len(segments) == 1 else None,
            message=message if len(segments) == 1 else None,
            surge=growth(segment, comparison),
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
    reference: ComparedWith = "working" if comparison.working_before.total else "nothing"
    return Findings(
        causes=_weighed(causes, reference),
        cleared=tuple(cleared[:MAX_CLEARED]),
        compared=compared,
        comparison=comparison,
        reference=reference,
    )


def _without_working(compared: Comparison) -> ComparedWith:
    return "errors" if compared.working.total else "nothing"


def _weighed(causes: Sequence[Cause], reference: ComparedWith) -> tuple[Cause, ...]:
    return tuple(replace(cause, confidence=confidence_of(cause, reference)) for cause in causes[:MAX_CAUSES])
