"""Which versions of a rule were in force in a range of minutes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from signals.domain.detection.buckets import minute_of
from signals.domain.detection.rule_types import Rule
from signals.store.detection.rules import RuleVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionInForce:
    """A version of a rule, and the minutes of the range in which it was in force."""

    version: RuleVersion
    minutes: range

    @property
    def rule(self) -> Rule:
        """The rule as this version has it."""
        return self.version.rule


def in_force(versions: Sequence[RuleVersion], minutes: range) -> Iterator[VersionInForce]:
    """Yield the versions in force in a range, newest first.

    The rules of every project were in force before they were rows.
    """
    end = minutes.stop
    for version in versions:
        is_first = version is versions[-1] and version.created_by == "system"
        start = minutes.start if is_first else max(minutes.start, minute_of(version.created_at))
        if start < end:
            yield VersionInForce(version=version, minutes=range(start, end))
            end = start
        if end <= minutes.start:
            return
