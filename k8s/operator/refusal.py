"""Messages and verdicts when the API server refuses a request of a pass. Pure."""

import re
from collections.abc import Iterable
from typing import Final

from k8s.operator.conditions import ALWAYS, ConditionVerdict, Written, held, unknown, yes

FORBIDDEN: Final = re.compile(r'cannot (?P<verb>\w+) resource "(?P<resource>[\w/]+)"')
RIGHTS: Final = "k8s/operator/README.md#rights"


def explained(message: str) -> str:
    """Return the API server's message or, for a missing right, the right and how to grant it."""
    if lacks := FORBIDDEN.search(message):
        right = f"{lacks['verb']} {lacks['resource']}"
        return f"the operator's Role lacks {right}: run helm upgrade, or add it ({RIGHTS})"
    return message


def forbidden_read(before: Iterable[Written], message: str) -> list[ConditionVerdict]:
    """Return the verdicts of a pass whose read was refused: earlier ones stay, Ready becomes Unknown."""
    known = {condition["type"]: condition for condition in before}
    sentence = explained(message)
    reason = "Refused" if sentence == message else "Forbidden"
    kept = [held(unknown(name, reason, sentence), known.get(name)) for name in ALWAYS if name != "Ready"]
    return [*kept, unknown("Ready", reason, sentence), yes("Stalled", reason, sentence)]
