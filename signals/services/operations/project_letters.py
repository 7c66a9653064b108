"""The dead letters of one project, for the people of its console: the newest, requeued or dropped."""

from collections.abc import Callable, Collection
from itertools import islice
from typing import Final, Literal

from psycopg_pool import ConnectionPool

from signals.clients.kafka.dead_letter_log import Ranges, open_dead_letter_log
from signals.clients.kafka.publisher import open_publisher
from signals.clients.postgres import Connection, transaction
from signals.domain.access.principal import Caller
from signals.services.operations.dead_letters import DeadLetters, LetterSelection, StoredLetter
from signals.settings import KafkaSettings
from signals.store.access import audit

MAX_READ: Final = 2_000  # newest letters of each partition; older ones are for `signals dlq`

LetterAct = Literal["requeue", "drop"]
VERBS: Final[dict[LetterAct, str]] = {"requeue": "dead letters requeued", "drop": "dead letters dropped"}


class ProjectLetters:
    """Opens Kafka for each call, which is rare; safe to call from several threads.

    A letter belongs to the project of its event, else to the one that its key names. Those of another project
    are neither shown nor decided. Those of no project are for the operator's `signals dlq`.
    """

    def __init__(self, pool: ConnectionPool[Connection], settings: Callable[[], KafkaSettings]) -> None:
        self._pool = pool
        self._settings = settings

    def newest(self, project_id: str, *, limit: int) -> list[StoredLetter]:
        """Return the newest undecided letters of a project.

        Raises:
            DependencyUnavailable: when Kafka or PostgreSQL does not answer.
            SettingsError: when no broker is named.
        """
        selection = LetterSelection(project_id=project_id)
        with open_dead_letter_log(self._settings()) as log:
            letters = DeadLetters(log, self._pool)
            found = letters.select(_newest(letters.ranges()), selection, newest_first=True)
            return list(islice(found, limit))

    def decide(self, caller: Caller, places: Collection[tuple[int, int]], act: LetterAct) -> int:
        """Requeue or drop letters by partition and offset; return how many.

        Those decided already, and those of other projects, are left alone.

        Raises:
            DependencyUnavailable: when Kafka or PostgreSQL fails; then some may be back, still undecided.
            SettingsError: when no broker is named.
        """
        project_id, settings = caller.tenancy.project_id, self._settings()
        with open_dead_letter_log(settings) as log:
            letters = DeadLetters(log, self._pool)
            named = [letters.find(partition, offset) for partition, offset in sorted(set(places))]
            chosen = [one for one in named if one is not None and one.project_id == project_id]
            if not chosen:
                return 0
            if act == "drop":
                done = letters.drop(chosen)
            else:
                with open_publisher(settings) as publisher:
                    done = letters.requeue(publisher, chosen)
        if done:
            with transaction(self._pool) as connection:
                audit.record_change(
                    connection, caller, VERBS[act], f"project:{project_id}", after={"letters": done}
                )
        return done


def _newest(ranges: Ranges) -> Ranges:
    return {partition: (max(start, end - MAX_READ), end) for partition, (start, end) in ranges.items()}
