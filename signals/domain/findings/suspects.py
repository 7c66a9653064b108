"""Changes just before the onset: deploys and rare custom events, suspected or cleared, with numbers."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from signals.domain.findings.comparison import BEFORE_MINUTES, Change, Comparison
from signals.domain.findings.labels import split
from signals.domain.findings.quoting import is_specific
from signals.domain.findings.segments import Segment, is_version
from signals.domain.findings.shifts import MIN_OUTSIDE, served_well
from signals.domain.findings.statistics import Cells

NEAR_MINUTES: Final = 15  # guess: what came earlier has another effect more often
CLOSE_MINUTES: Final = 6  # guess: a minute's rounding, a cache's life
RARE_TIMES: Final = 1  # in all that is known before; what comes again is routine
PRIOR: Final = 0.2  # guess: that an otherwise unseen cause is a recorded change
LIKELY: Final = 0.6  # from which a change alone is named as the cause
MIN_ALIKE: Final = 4.0  # nats by which a release must fail more than the others to stay suspected

SuspectReason = Literal["alike", "served", "absent", "old", "elsewhere"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A change that the comparison does not clear; `linked` when group or message name something of it.

    `is_carried` is False for a release that no request carries although requests name their release: perhaps
    that of another service. `others` is how many rare changes that hour had: among many, one just
    before is no surprise.
    """

    change: Change
    minutes: int
    linked: bool
    label: str | None = None
    others: int = 0
    is_carried: bool = True

    @property
    def leads(self) -> bool:
        """Whether it may be named as the cause when nothing else is seen."""
        return self.linked or (self.is_carried and self.chance >= LIKELY)

    @property
    def chance(self) -> float:
        """The probability that it is the cause, against coming just then by chance."""
        expected = (self.others + 1) * (self.minutes + 1) / BEFORE_MINUTES
        return PRIOR / (PRIOR + expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """A change that is no cause, and why. `cells` are the counts that clear it, `served` working requests."""

    change: Change
    minutes: int
    why: SuspectReason
    label: str | None = None
    cells: Cells | None = None
    served: int = 0


def judge(
    comparison: Comparison, segments: Sequence[Segment], said: Collection[str]
) -> tuple[list[Suspect], list[Cleared]]:
    """Judge every change before the onset; `said` are the texts of the failures."""
    named = {label for segment in segments for label in (*segment.labels, *segment.twins)}
    suspects: list[Suspect] = []
    cleared: list[Cleared] = []
    for change in comparison.changes:
        verdict = _judge(change, comparison, named, said)
        if isinstance(verdict, Suspect):
            suspects.append(verdict)
        elif verdict is not None:
            cleared.append(verdict)
    rare = sum(change.times <= RARE_TIMES for change in comparison.changes)
    suspects = [replace(suspect, others=rare - 1) for suspect in suspects]
    suspects.sort(key=lambda suspect: (not suspect.linked, suspect.minutes, suspect.change.event_id))
    cleared.sort(key=lambda item: item.minutes)
    return suspects, cleared


def label_of(change: Change, comparison: Comparison) -> str | None:
    """Return the label by which requests carry the change: that of its release."""
    windows = (comparison.failing, comparison.working, comparison.working_before)
    return next(
        (label for label in change.labels if is_version(label) and any(label in w.labels for w in windows)),
        None,
    ) or next((label for label in change.labels if is_version(label)), None)


def _judge(
    change: Change, comparison: Comparison, named: Collection[str], said: Collection[str]
) -> Suspect | Cleared | None:
    minutes = max(0, comparison.onset.minute - int(change.at.timestamp()) // 60)
    linked = _is_linked(change, named, said, comparison)
    if change.kind == "custom":
        if change.times > RARE_TIMES or minutes > NEAR_MINUTES:
            return None
        if _is_elsewhere(change, comparison, named):
            return Cleared(change=change, minutes=minutes, why="elsewhere")
        return Suspect(change=change, minutes=minutes, linked=linked)
    label = label_of(change, comparison)
    if label is not None and label not in named:
        reason = _clear(change, label, minutes, comparison)
        if reason is not None:
            return reason
    if minutes > NEAR_MINUTES and label not in named and not comparison.onset.is_ramp:
        return Cleared(change=change, minutes=minutes, why="old", label=label)
    carried = label is None or _is_carried(label, comparison)
    return Suspect(change=change, minutes=minutes, linked=linked, label=label, is_carried=carried)


def _clear(change: Change, label: str, minutes: int, comparison: Comparison) -> Cleared | None:
    failing, working, before = comparison.failing, comparison.working, comparison.working_before
    name = split(label)[0]
    seen = label in working.labels or label in before.labels
    if seen and failing.carriers(name) >= failing.total / 2 and failing.count(label) == 0:
        return Cleared(change=change, minutes=minutes, why="absent", label=label)
    cells = Cells(
        failing_in=failing.count(label),
        failing_out=failing.total - failing.count(label),
        working_in=working.count(label),
        working_out=max(0, working.total - working.count(label)),
    )
    outside = cells.failing_out + cells.working_out
    inside = cells.failing_in + cells.working_in
    if min(inside, outside) >= MIN_OUTSIDE and cells.failing_out and cells.gain < MIN_ALIKE:
        return Cleared(change=change, minutes=minutes, why="alike", label=label, cells=cells)
    if served_well(label, comparison):
        return Cleared(change=change, minutes=minutes, why="served", label=label, served=before.count(label))
    return None


def _is_carried(label: str, comparison: Comparison) -> bool:
    """Whether requests carry the release, or no release at all: then nothing speaks against it."""
    windows = (comparison.failing, comparison.working, comparison.working_before)
    name = split(label)[0]
    return any(label in window.labels for window in windows) or not any(w.carriers(name) for w in windows)


def _is_elsewhere(change: Change, comparison: Comparison, named: Collection[str]) -> bool:
    """Whether the change names another value of the name that describes the failing, or none that fails."""
    names = {split(label)[0]: label for label in named}
    return any(
        split(label)[0] in names and label not in named and label in comparison.working_before.labels
        for label in change.labels
    )


def _is_linked(change: Change, named: Collection[str], said: Collection[str], comparison: Comparison) -> bool:
    if any(label in named for label in change.labels):
        return True
    values = {split(label)[1] for label in named}
    if any(split(label)[1] in values for label in change.labels):
        return True
    texts = [change.text, *change.labels]
    words = {word for text in texts for word in re.findall(r"[a-z]{3,}", text.casefold())}
    said_words = {word for text in said for word in re.findall(r"[a-z]{3,}", text.casefold())}
    route = {word for text in comparison.words[1:] for word in re.findall(r"[a-z]{3,}", text.casefold())}
    return any(is_specific(f"{word} {word}") for word in (words & said_words) - route)
