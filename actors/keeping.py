"""Which actors to replace and which to end, from what they answered. Pure: no Ray, no clock."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from actors.consumers import STOPPED, Health

MAX_SILENT_ROUNDS: Final = 4  # without an answer (a stopped process): about 30 s, then replace
MAX_STARTING_ROUNDS: Final = (
    40  # before the first answer: some 5 minutes (guess), or a slow start begins anew
)
MAX_IDLE_S: Final = 150.0  # without a round of its loop; a session's end waits 75 s for OpenSearch
MAX_LEAVING_ROUNDS: Final = 40  # about 2 minutes: a model's call under way may take its lease

HealthAnswer = Health | Literal["silent", "restarting"]
"""What one round heard from an actor: `restarting` is Ray's state, `silent` means no answer."""


@dataclass(slots=True, kw_only=True)
class HealthTracker:
    """Remembers between rounds which actors have answered, which are silent, and which are leaving."""

    _silent: Counter[str] = field(default_factory=Counter)
    _answered: set[str] = field(default_factory=set)
    _leaving: Counter[str] = field(default_factory=Counter)

    def stuck(self, answers: Mapping[str, HealthAnswer]) -> list[str]:
        """Return whom to replace; an actor that Ray restarts is left to Ray."""
        return [name for name, answer in answers.items() if self._is_stuck(name, answer)]

    def ended(self, leaving: Mapping[str, HealthAnswer]) -> list[str]:
        """Return which of those that were asked to stop may go: they have, or they had their time."""
        self._leaving = Counter({name: self._leaving[name] + 1 for name in leaving})
        return [name for name, answer in leaving.items() if self._may_go(name, answer)]

    def _may_go(self, name: str, answer: HealthAnswer) -> bool:
        has_stopped = isinstance(answer, Health) and answer.state == STOPPED
        return has_stopped or answer == "restarting" or self._leaving[name] > MAX_LEAVING_ROUNDS

    def _is_stuck(self, name: str, answer: HealthAnswer) -> bool:
        if answer == "restarting":
            self._answered.discard(name)
            return False
        if isinstance(answer, Health):
            self._answered.add(name)
            del self._silent[name]
            is_over = answer.state == STOPPED or (answer.idle_s is not None and answer.idle_s > MAX_IDLE_S)
            if is_over:
                self._answered.discard(name)  # its successor gets the time of a start
            return is_over
        self._silent[name] += 1
        limit = MAX_SILENT_ROUNDS if name in self._answered else MAX_STARTING_ROUNDS
        if self._silent[name] < limit:
            return False
        del self._silent[name]  # the one that takes its place starts with a clean record
        self._answered.discard(name)
        return True


def surplus(existing: Iterable[str], expected: Container[str]) -> list[str]:
    """Return who was expected once, under other counts."""
    return sorted(name for name in existing if name not in expected)


def evicted(answers: Mapping[str, HealthAnswer], draining: Container[str]) -> list[str]:
    """Return whom to ask to stop, because its node will soon be gone; once stopped it is replaced."""
    return [
        name
        for name, answer in answers.items()
        if isinstance(answer, Health) and answer.node_id in draining and answer.state != STOPPED
    ]


def outdated(answers: Mapping[str, HealthAnswer], code: str) -> list[str]:
    """Return whom to ask to stop, because it runs other code; once stopped it is replaced.

    One at a time, and while all others work: code that cannot start ends no second consumer.
    """
    is_one_away = any(
        not isinstance(answer, Health) or answer.state == STOPPED for answer in answers.values()
    )
    others = [name for name, answer in answers.items() if isinstance(answer, Health) and answer.code != code]
    return [] if is_one_away else others[:1]
