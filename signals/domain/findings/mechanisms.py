"""Labels that only failing events carry: the dependency, queue or exception that they name.

Such a label has no working counterpart, so it is compared with the errors of the hour before. Anybody who can
send events can forge one: a name must be that of a mechanism, or the message must name the value as well.
"""

import re
from dataclasses import dataclass
from typing import Final

from signals.domain.findings.comparison import Comparison
from signals.domain.findings.labels import split
from signals.domain.findings.segments import MIN_FAILING, is_quotable, nameable

MIN_SHARE: Final = 0.25  # of the failing
MAX_SHARE_BEFORE: Final = 0.2  # of that share, among the errors of the hour before

_MECHANISM: Final = re.compile(
    r"(?i)(?:^|[_.-])(?:upstream|downstream|dependency|service|provider|vendor|peer|target|host|hostname|node|pod"
    r"|instance|container|cluster|shard|partition|replica|database|db|table|column|index|cache|queue|topic|broker|job"
    r"|task|worker|cron|flag|feature|experiment|variant|exception|exception_type|error_class|error_type|exception_class"
    r"|lock|pool|bucket|disk|volume|device|endpoint|gateway|integration|plugin|module|component|backend|store|zone"
    r"|tenant|limit|quota|rule|policy|schema|migration|certificate|cert|key_id)(?:$|[_.-](?:name|id|key|type|class)$)"
)
MIN_VALUE_CHARS: Final = 2  # a single character names no dependency


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanism:
    """A label that failing events carry and errors before did not; shares are of all such events."""

    label: str
    share: float
    share_before: float


def mechanisms(comparison: Comparison, message: str | None) -> list[Mechanism]:
    """Return the new labels of failing events, the most frequent first."""
    failing, errors = comparison.failing, comparison.errors_before
    found = []
    for label, count in failing.labels.items():
        name, value = split(label)
        if comparison.working.carriers(name) + comparison.working_before.carriers(name) > 0:
            continue
        if not is_quotable(label):
            continue
        is_named = message is not None and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", message) is not None
        known = _MECHANISM.search(name) is not None
        if not (known or (is_named and nameable(label, comparison))) or len(value) < MIN_VALUE_CHARS:
            continue
        share = count / failing.total
        before = errors.count(label) / errors.total if errors.total else 0.0
        if count >= MIN_FAILING and share >= MIN_SHARE and before <= MAX_SHARE_BEFORE * share:
            found.append(Mechanism(label=label, share=share, share_before=before))
    return sorted(found, key=lambda item: (-item.share, _is_class(item.label), item.label))


def _is_class(label: str) -> bool:
    return any(word in split(label)[0] for word in ("class", "type", "exception"))
