"""What a look at the servers found, and how it is told to people and to Kubernetes."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal

import orjson

Check = Literal["postgres", "schema", "kafka", "topics", "opensearch", "index", "model"]

REQUIRED: Final[frozenset[Check]] = frozenset({"postgres", "kafka", "opensearch"})
"""Without these nothing runs. `signals prepare` makes schema, topics and index; no model is no outage."""
MAX_REPORT_BYTES: Final = 4096  # what Kubernetes keeps of a container's termination message
MESSAGE_LENGTHS: Final = (400, 200, 100, 50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found; `reason` is one CamelCase word, as conditions of Kubernetes have it.

    `message` is a sentence, `variable` the one to set or to correct.
    """

    check: Check
    ok: bool
    reason: str
    message: str
    variable: str | None = None


def good(check: Check, reason: str, message: str) -> Finding:
    """Return a finding that needs nobody."""
    return Finding(check=check, ok=True, reason=reason, message=message)


def bad(check: Check, reason: str, message: str, variable: str | None = None) -> Finding:
    """Return a finding that somebody has to do something about."""
    return Finding(check=check, ok=False, reason=reason, message=message, variable=variable)


def failed(findings: Iterable[Finding], required: frozenset[Check]) -> list[Finding]:
    """Return the findings that stand in the way."""
    return [finding for finding in findings if finding.check in required and not finding.ok]


def report(findings: Sequence[Finding]) -> bytes:
    """Return a JSON array that fits a termination message; long messages are cut."""
    texts = (_report(findings, longest) for longest in MESSAGE_LENGTHS)
    return next((text for text in texts if len(text) <= MAX_REPORT_BYTES), b"[]")


def _report(findings: Sequence[Finding], longest: int) -> bytes:
    rows = [asdict(finding) for finding in findings]
    for row in rows:
        if len(row["message"]) > longest:
            row["message"] = row["message"][: longest - 1] + "…"
    return orjson.dumps(rows)
