"""Next steps for a person, by the causes of an incident."""

from collections.abc import Iterator

from signals.domain.findings.causes import Cause, Findings
from signals.domain.summary.wording import group_of, suspect_of


def steps_of(findings: Findings) -> Iterator[str]:
    """Propose what a person can do about the first causes."""
    for cause in findings.causes[:2]:
        yield from _steps(cause)
    if not any(cause.segment or cause.surge or cause.change for cause in findings.causes):
        yield "Open some failing requests and look for a property that they share and no attribute names yet."
        yield "Send the attribute that you miss with every request: release, region, host, customer, flag."


def _steps(cause: Cause) -> Iterator[str]:
    group = None if cause.segment is None else group_of(cause.segment)
    is_release = group is not None and "release" in group and not cause.lost
    if cause.change is not None and not is_release:
        suspect = suspect_of(cause.change)
        yield f"Undo {suspect}, or turn it off, and see whether the failures end."
    if group is not None:
        if cause.lost:
            yield f"Check where signups with {group} come from: a campaign or a partner may have ended."
        elif is_release:
            yield f"Roll back {group}, or take it out of traffic, and see whether the failures end."
        else:
            yield f"Compare one failing request with {group} with one that works, in logs and traces."
    if cause.mechanism is not None:
        yield f"Check {cause.mechanism.label}: its status, its limits, and the way to it."
    elif cause.message is not None:
        yield f"Look for the place in the code or configuration that says “{cause.message.text}”."
    if cause.coincidence is not None and group is None:
        yield f"Check whether {suspect_of(cause.coincidence)} reaches this route, before you undo it."
    if cause.surge is not None:
        yield "Add capacity or limit the additional requests."
