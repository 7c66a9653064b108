"""Which actors to replace and which to end, from what they answered. Pure: no Ray, no clock."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from actors.consumers import Health

MAX_SILENT_ROUNDS: Final = 4  # without an answer (a stopped process): about 30 s, then replace
MAX_IDLE_S: Final = 150.0  # without a round of its loop: longer than any bounded wait inside a step

Answer = Health | Literal["silent", "restarting"]
"""What one round heard from an actor: `restarting` is Ray's word for it, `silent` is nobody's."""


@dataclass(slots=True, kw_only=True)
class Keeping:
    """Remembers between rounds who was silent, and for how many."""

    expected: frozenset[str]
    _silent: Counter[str] = field(default_factory=Counter)

    def stuck(self, answers: Mapping[str, Answer]) -> list[str]:
        """Return whom to replace; an actor that Ray restarts is left to Ray."""
        return [name for name, answer in answers.items() if self._is_stuck(name, answer)]

    def surplus(self, existing: Iterable[str]) -> list[str]:
        """Return whom to end: they were expected once, under other settings."""
        return sorted(set(existing) - self.expected)

    def _is_stuck(self, name: str, answer: Answer) -> bool:
        if answer == "restarting":
            return False
        if isinstance(answer, Health):
            del self._silent[name]
            return answer.idle_s is not None and answer.idle_s > MAX_IDLE_S
        self._silent[name] += 1
        if self._silent[name] < MAX_SILENT_ROUNDS:
            return False
        del self._silent[name]  # the one that takes its place starts with a clean record
        return True
