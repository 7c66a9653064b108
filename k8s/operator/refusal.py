"""What is said when the API server refuses what a pass needs. Pure."""

import re
from collections.abc import Iterable
from typing import Final

from k8s.operator.conditions import ALWAYS, Verdict, Written, held, unknown, yes

FORBIDDEN: Final = re.compile(r'cannot (?P<verb>\w+) resource "(?P<resource>[\w/]+)"')
RIGHTS: Final = "k8s/operator/README.md#rights"


def explained(message: str) -> str:
    """Return the API server's sentence or, where a right is missing, which one and how to give it."""
    if lacks := FORBIDDEN.search(message):
        right = f"{lacks['verb']} {lacks['resource']}"
        return f"the operator's Role lacks {right}: run helm upgrade, or add it ({RIGHTS})"
    return message


def blinded(before: Iterable[Written], message: str) -> list[Verdict]:
    """Return the verdicts of a pass that was refused a read: what was known, but nothing of Ready."""
    known = {condition["type"]: condition for condition in before}
    sentence = explained(message)
    reason = "Refused" if sentence == message else "Forbidden"
    kept = [held(unknown(name, reason, sentence), known.get(name)) for name in ALWAYS if name != "Ready"]
    return [*kept, unknown("Ready", reason, sentence), yes("Stalled", reason, sentence)]
