"""Base of the consumer actors: a loop started at construction, and short control methods."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import ray
from psycopg_pool import ConnectionPool

from actors.loop import ConsumerLoop, OpenSession
from signals.clients.postgres import Connection, open_pool
from signals.garbage import collect_less_often
from signals.logs import configure_logs
from signals.ray_node.variables import CODE_MARK
from signals.settings import PostgresSettings

STOPPED: Final = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Progress, not liveness: when the loop last came round, None before its first round.

    `state` is a heartbeat's, or `STOPPED` after `stop`.
    """

    state: str
    detail: str
    idle_s: float | None
    node_id: str = ""
    """Ray's id of the node, empty outside Ray."""
    code: str = ""
    """The mark of the code that runs: see `running_code`."""

    def completed(self) -> "Health":
        """Return it with every field: a process of an earlier release leaves the later ones out."""
        if hasattr(self, "code"):
            return self
        return Health(
            state=self.state, detail=self.detail, idle_s=self.idle_s, node_id=self.node_id, code="earlier"
        )


def running_code() -> str:
    """Return which code this process was started for; empty for that of the node's start, or outside Ray."""
    if not ray.is_initialized():
        return ""
    variables: dict[str, str] = ray.get_runtime_context().runtime_env.get("env_vars", {})
    return variables.get(CODE_MARK, "")


class Consumer:
    """Base of the consumer actors.

    The pool is opened here, in the process that uses it; everything else by each session, so that a
    session speaks to its servers as the settings are when it begins.
    """

    def __init__(self, name: str, kind: str, *, connections: int) -> None:
        configure_logs()
        collect_less_often()
        self.resources = ExitStack()
        self.pool: ConnectionPool[Connection] = self.resources.enter_context(
            open_pool(PostgresSettings.from_env, size=connections)
        )
        self._name = name
        self._kind = kind
        self._loop: ConsumerLoop | None = None

    def start(self, open_session: OpenSession) -> None:
        """Start the loop; the last thing a constructor does."""
        self._loop = ConsumerLoop(self._name, self._kind, self.pool, open_session)

    def health(self) -> Health:
        """Say when the loop last came round."""
        assert self._loop is not None
        progress = self._loop.progress
        state = STOPPED if self._loop.has_ended else progress.state
        node_id = ray.get_runtime_context().get_node_id() if ray.is_initialized() else ""
        return Health(
            state=state,
            detail=progress.detail,
            idle_s=progress.idle_s,
            node_id=node_id,
            code=running_code(),
        )

    def stop(self) -> None:
        """Ask the loop to end after its current step, and to leave its group; then the process may go."""
        assert self._loop is not None
        self._loop.stop()
