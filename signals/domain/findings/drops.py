"""Causes of a drop of signups: values that stay away, errors on the way to a signup, changes."""

import math
import re
from collections.abc import Container, Sequence
from dataclasses import replace
from typing import Final

from signals.domain.findings.causes import Cause, CauseMessage
from signals.domain.findings.comparison import BEFORE_MINUTES, Comparison
from signals.domain.findings.labels import split
from signals.domain.findings.quoting import is_specific, quotable, restored
from signals.domain.findings.segments import Segment, nameable
from signals.domain.findings.statistics import Cells
from signals.domain.findings.suspects import (
    CLOSE_MINUTES,
    NEAR_MINUTES,
    RARE_TIMES,
    Cleared,
    Suspect,
    label_of,
)
from signals.domain.findings.templates import grouped

MIN_LOST: Final = 0.5  # of the lost signups that a named value must have brought
DOMINANT: Final = 0.75  # share before, from which a value is named when too few signups are left to compare
CONSTANT: Final = 0.98  # share before, from which a value describes every signup
FEW: Final = 3  # signups left
MIN_ERRORS: Final = 10
ERROR_FACTOR: Final = 3  # times the errors of the hour before
MIN_SERVED: Final = 10  # signups with a release before the drop that clear it
_SIGNUP: Final = re.compile(
    r"(?i)(?:^|/)(?:sign[-_/]?ups?|regist(?:er|rations?)|join|onboard(?:ing)?|enroll?(?:ments?)?"
    r"|(?:create|new)[-_/]accounts?|accounts?(?:[-_/](?:create|new))?$)(?:/|$)"
)
"""A route that a person signs up by: a whole segment of it says so, not a part of a word."""


def drop_causes(comparison: Comparison) -> tuple[list[Cause], list[Cleared], tuple[str, ...]]:
    """Return the causes of a drop, what is cleared, and the names that were compared."""
    labels = [label for label in comparison.working_before.labels if nameable(label, comparison)]
    suspects, cleared = _changes(comparison)
    close = next((suspect for suspect in suspects if suspect.minutes <= CLOSE_MINUTES), None)
    lost = _lost(labels, comparison)
    causes = []
    message, is_on_the_way = _message(comparison)
    if message is not None:
        said = Cause(confidence=0, message=message, lost=True, elsewhere=not is_on_the_way)
        causes.append(_after(said, close, comparison.errors.labels))
    if lost is not None:
        apart = Cause(confidence=0, segment=lost, lost=True)
        causes.append(_after(apart, close if message is None else None, lost.labels))
    if not is_on_the_way:
        causes.reverse()  # errors elsewhere may be chance; a value that stays away is the drop itself
    if not causes and close is not None:
        causes.append(Cause(confidence=0, change=close, lost=True))
    return causes, cleared, tuple(dict.fromkeys(split(label)[0] for label in labels))


def _after(cause: Cause, close: Suspect | None, labels: Container[str]) -> Cause:
    """Add the change just before: as one that it is linked to by a label, or as a coincidence."""
    if close is not None and close.label is not None and close.label in labels:
        return replace(cause, change=close)
    return replace(cause, coincidence=close)


def _lost(labels: Sequence[str], comparison: Comparison) -> Segment | None:
    """Find the value that stays away more than the others do."""
    now, before = comparison.working, comparison.working_before
    scale = comparison.minutes / BEFORE_MINUTES
    missing = before.total * scale - now.total
    found = []
    for label in labels:
        share = before.count(label) / before.total
        lost = before.count(label) * scale - now.count(label)
        if share >= CONSTANT or missing <= 0 or lost < MIN_LOST * missing:
            continue
        composition = Cells(
            failing_in=before.count(label),
            failing_out=before.total - before.count(label),
            working_in=now.count(label),
            working_out=now.total - now.count(label),
        )
        net = composition.gain - 0.5 * math.log(max(2, now.total)) - math.log(max(2, len(labels)))
        if net > 0 or (now.total <= FEW and share >= DOMINANT and now.count(label) == 0):
            rest = max(0.0, missing - lost)
            cells = Cells(
                failing_in=round(lost),
                failing_out=round(rest),
                working_in=now.count(label),
                working_out=now.total - now.count(label),
            )
            found.append(Segment(form="value", labels=(label,), cells=cells, net=net, reference="before"))
    return max(found, key=lambda segment: (segment.net, segment.cells.failing_in), default=None)


def _message(comparison: Comparison) -> tuple[CauseMessage | None, bool]:
    """Return what new errors say, and whether errors rose on a signup's route."""
    now, before = comparison.errors, comparison.errors_before
    routes = [
        label
        for label, count in now.labels.items()
        if split(label)[0] == "route"
        and count >= MIN_ERRORS
        and count >= ERROR_FACTOR * before.count(label) * comparison.minutes / BEFORE_MINUTES
    ]
    if not routes:
        return None, False
    signups = sum(now.labels[route] for route in routes if _SIGNUP.search(split(route)[1]))
    found = _risen_message(comparison, most=signups, is_vague_told=True)
    if found is not None:
        return found, True
    return _risen_message(comparison, most=now.total, is_vague_told=False), False


def _risen_message(comparison: Comparison, *, most: int, is_vague_told: bool) -> CauseMessage | None:
    """Return the most frequent risen message, of at most so many errors: a route has no more of its own."""
    now, before = comparison.errors, comparison.errors_before
    for template, count in grouped(now.templates).items():
        said = sum(times for other, times in before.templates.items() if template in other)
        expected = said * comparison.minutes / BEFORE_MINUTES
        text = quotable(restored(template, comparison.samples.get(template, ())))
        rose = most >= count >= MIN_ERRORS and count >= ERROR_FACTOR * expected
        if rose and text is not None and (is_vague_told or is_specific(template)):
            share = count / max(1, now.total)
            return CauseMessage(text=text, share=share, count=count, before=said, is_new=said == 0)
    return None


def _changes(comparison: Comparison) -> tuple[list[Suspect], list[Cleared]]:
    suspects: list[Suspect] = []
    cleared: list[Cleared] = []
    for change in comparison.changes:
        minutes = max(0, comparison.onset.minute - int(change.at.timestamp()) // 60)
        label = label_of(change, comparison) if change.kind == "deploy" else None
        served = comparison.working_before.count(label) if label is not None else 0
        if change.kind == "custom" and (change.times > RARE_TIMES or minutes > NEAR_MINUTES):
            continue
        if served >= MIN_SERVED:
            cleared.append(Cleared(change=change, minutes=minutes, why="served", label=label, served=served))
        elif minutes > NEAR_MINUTES:
            cleared.append(Cleared(change=change, minutes=minutes, why="old", label=label))
        else:
            suspects.append(Suspect(change=change, minutes=minutes, linked=False, label=label))
    return sorted(suspects, key=lambda suspect: suspect.minutes), cleared
