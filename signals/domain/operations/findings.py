"""Preflight findings and their report formats, for people and for Kubernetes."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal

import orjson

PreflightCheck = Literal["postgres", "schema", "kafka", "topics", "opensearch", "index", "model"]

REQUIRED: Final[frozenset[PreflightCheck]] = frozenset({"postgres", "kafka", "opensearch"})
"""Without these nothing runs. `signals prepare` makes schema, topics and index; no model is no outage."""
MAX_REPORT_BYTES: Final = 4096  # what Kubernetes keeps of a container's termination message
MESSAGE_LENGTHS: Final = (400, 200, 100, 50)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightFinding:
    """The result of one check; `reason` is one CamelCase word, as conditions of Kubernetes have it.

    `message` is a sentence, `variable` the one to set or to correct.
    """

    check: PreflightCheck
    ok: bool
    reason: str
    message: str
    variable: str | None = None


def good(check: PreflightCheck, reason: str, message: str) -> PreflightFinding:
    """Return a finding that needs no action."""
    return PreflightFinding(check=check, ok=True, reason=reason, message=message)


def bad(check: PreflightCheck, reason: str, message: str, variable: str | None = None) -> PreflightFinding:
    """Return a finding that needs an action."""
    return PreflightFinding(check=check, ok=False, reason=reason, message=message, variable=variable)


def failed(
    findings: Iterable[PreflightFinding], required: frozenset[PreflightCheck]
) -> list[PreflightFinding]:
    """Return the findings that stand in the way."""
    return [finding for finding in findings if finding.check in required and not finding.ok]


def report(findings: Sequence[PreflightFinding]) -> bytes:
    """Return a JSON array that fits a termination message; long messages are cut."""
    texts = (_report(findings, longest) for longest in MESSAGE_LENGTHS)
    return next((text for text in texts if len(text) <= MAX_REPORT_BYTES), b"[]")


def _report(findings: Sequence[PreflightFinding], longest: int) -> bytes:
    rows = [asdict(finding) for finding in findings]
    for row in rows:
        if len(row["message"]) > longest:
            row["message"] = row["message"][: longest - 1] + "…"
    return orjson.dumps(rows)
