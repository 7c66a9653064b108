"""The confidence in a cause: set by hand, by the kind of its evidence; not fitted to cases."""

from typing import Final

from signals.domain.findings.causes import Cause, ComparedWith

STRONG: Final = 0.95  # a group that explains all of the failing
WEAK: Final = 0.5  # a group that explains the least that is named
WITHOUT_WORKING: Final = 0.5  # guess: errors alone never make a cause surer
REPLACED: Final = 0.85  # nothing left to compare with in the same minutes
MECHANISM: Final = 0.85
NEW_MESSAGE: Final = 0.75
OLD_MESSAGE: Final = 0.5  # also said in the hour before
SURGE: Final = 0.55
SURGE_BY_LABEL: Final = 0.7
LINKED_CHANGE: Final = 0.7
HINT: Final = 0.3  # a change that came just before, and nothing that links it
CHANGE: Final = 0.6  # a change and nothing else
LOST: Final = 0.75
LOST_ALL: Final = 0.4


def confidence_of(cause: Cause, reference: ComparedWith) -> float:
    """Return the probability that the cause is the right one, from 0 to 1.

    `reference` is what the failing were compared with.
    """
    sure = _of_parts(cause)
    return sure if reference == "working" else min(sure, WITHOUT_WORKING)


def _of_parts(cause: Cause) -> float:
    if cause.segment is not None:
        return round(_of_segment(cause), 2)
    sure = 0.0
    if cause.mechanism is not None:
        sure = MECHANISM
    elif cause.message is not None:
        sure = NEW_MESSAGE if cause.message.is_new else OLD_MESSAGE
    if cause.surge is not None:
        sure = max(sure, SURGE if cause.surge.label is None else SURGE_BY_LABEL)
    if cause.change is not None:
        linked = cause.change.linked or (cause.change.label is not None and cause.change.is_carried)
        sure = max(sure, LINKED_CHANGE if linked else min(CHANGE, cause.change.chance))
    if sure == 0.0 and cause.coincidence is not None:
        return min(HINT, cause.coincidence.chance)
    return sure


def _of_segment(cause: Cause) -> float:
    segment = cause.segment
    assert segment is not None
    if cause.lost:
        return LOST if segment.net > 0 else LOST_ALL
    if segment.reference == "before":
        return REPLACED
    return WEAK + (STRONG - WEAK) * segment.explained.value
