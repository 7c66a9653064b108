"""Words for the parts of a finding: groups, changes, rates, times; values of identifier shape alone."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from signals.domain.findings.labels import split
from signals.domain.findings.quoting import quotable
from signals.domain.findings.segments import Segment, is_quotable, is_story
from signals.domain.findings.suspects import Suspect

MAX_VALUES: Final = 4  # of a set, in a sentence
MAX_CHANGE_LABELS: Final = 3
STAMP: Final = re.compile(r"\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?Z")
"""An RFC 3339 instant in UTC inside a text."""
_PERSON: Final = re.compile(
    r"(?i)^(?:actor|user|author|by|who|email|owner|team|previous|old|from|service)(?:$|[_.-])"
)


def numbers_of(segment: Segment) -> str:
    """Write both rates with their counts."""
    cells = segment.cells
    inside, outside = cells.failing_in + cells.working_in, cells.failing_out + cells.working_out
    return (
        f"{percent(cells.rate_in)} of these requests fail ({cells.failing_in} of {inside}), "
        f"{percent(cells.rate_out)} of the others ({cells.failing_out} of {outside})"
    )


def group_of(segment: Segment) -> str:
    """Name a group by its labels."""
    if segment.form == "absence":
        return f"no {segment.labels[0].removesuffix('=')}"
    if segment.form == "pair":
        return " and ".join(segment.labels)
    name = split(segment.labels[0])[0]
    values = [split(label)[1] for label in segment.labels]
    if segment.form == "value" or len(values) == 1:
        return segment.labels[0]
    shown = values[:MAX_VALUES]
    more = f" and {len(values) - len(shown)} more" if len(values) > len(shown) else ""
    return f"{name}={' or '.join(shown)}{more}"


def change_of(labels: Sequence[str], kind: str, text: str) -> str:
    """Name a change by its labels, or by its message when it has none that may be shown."""
    shown = [
        label
        for label in labels
        if is_quotable(label) and not _PERSON.search(split(label)[0]) and not is_story(label)
    ]
    if kind == "deploy":
        release = next((label for label in shown if "release" in label or "version" in label), None)
        return f"the deploy of {release or (shown[0] if shown else 'an unnamed release')}"
    if shown:
        return f"the change {', '.join(shown[:MAX_CHANGE_LABELS])}"
    quoted = quotable(text, whole=True)
    return f"the change “{quoted}”" if quoted else "a change without a name"


def suspect_of(suspect: Suspect) -> str:
    """Name the change of a suspect."""
    change = suspect.change
    return change_of(change.labels, change.kind, change.text)


def percent(share: float) -> str:
    """Write a share in whole percent; what is rounded to a border stays distinguishable from it."""
    text = f"{share * 100:.0f}"
    if text == "0" and share > 0:
        return "under 1 %"
    if text == "100" and share < 1:
        return "over 99 %"
    return f"{text} %"


def clock(minute: int) -> str:
    """Write a minute since the epoch as a time of day in UTC."""
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%H:%M UTC")


def in_words(text: str) -> str:
    """Write the RFC 3339 stamps inside a text as a reader wants them: to the minute, in UTC."""
    return STAMP.sub(lambda match: f"{match[0][:10]} {match[0][11:16]} UTC", text)


def minutes_of(minutes: int) -> str:
    """Write a gap in minutes."""
    if minutes == 0:
        return "less than a minute"
    return f"{minutes} minute{'s' if minutes > 1 else ''}"
