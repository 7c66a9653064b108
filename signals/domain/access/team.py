"""The people of an organisation as those to whom work is assigned."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamMember:
    """A person whom work can be assigned to.

    `written` is stored: the name, or the mail address where another member has the same name. Assignments
    are texts, since an API key may name anybody.
    """

    name: str
    written: str

    @property
    def shown(self) -> str:
        """The name as a list of members shows it, no two alike."""
        return self.name if self.written == self.name else f"{self.name} ({self.written})"


def names_of(team: Mapping[str, TeamMember]) -> Mapping[str, str]:
    """Return the names by actor, no two alike."""
    return {actor: one.shown for actor, one in team.items()}


def team_of(people: Iterable[tuple[UUID, str, str]]) -> Mapping[str, TeamMember]:
    """Return the members by their actor, in order of their names; `people` are ids, names and addresses."""
    known = sorted(people, key=lambda one: (one[1].casefold(), one[2]))
    shared = Counter(name for _, name, _ in known)
    return {
        f"user:{user_id}": TeamMember(name=name, written=name if shared[name] == 1 else email)
        for user_id, name, email in known
    }
