"""Sets the status of several incidents or outages, each on its own, with one outcome each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from shared_types import Tenancy
from signals.services.incidents.precondition import UNCONDITIONAL, Precondition

MAX_AT_ONCE: Final = 100  # guess: two pages of the console; each change is a transaction of some 5 ms


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusWish:
    """One of several to be changed: its name as the caller wrote it, and what the caller has read of it."""

    name: str
    only_if: Precondition = UNCONDITIONAL


class StatusSetter(Protocol):
    """Sets the status of what has an id, for an actor; returns `changed`, or why not."""

    def __call__(
        self,
        tenancy: Tenancy,
        subject_id: UUID,
        status: str,
        /,
        *,
        actor: str,
        only_if: Precondition = UNCONDITIONAL,
    ) -> str:
        """Return the outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkStatus:
    """How one kind is found and changed; `find` returns an id, or the reason why there is none."""

    find: Callable[[Tenancy, str], UUID | str]
    set_status: StatusSetter

    def change(self, tenancy: Tenancy, wishes: Sequence[StatusWish], status: str, *, actor: str) -> list[str]:
        """Set one status; return the outcome of each wish in their order. One refusal stops no other.

        Raises:
            DependencyUnavailable: when PostgreSQL does not answer; those before it were changed.
        """
        return [self._change(tenancy, wish, status, actor) for wish in wishes]

    def _change(self, tenancy: Tenancy, wish: StatusWish, status: str, actor: str) -> str:
        found = self.find(tenancy, wish.name)
        if not isinstance(found, UUID):
            return found
        return self.set_status(tenancy, found, status, actor=actor, only_if=wish.only_if)
