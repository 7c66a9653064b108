"""Keeps the consumer actors there: missing ones are created, stuck ones replaced, surplus ones ended."""

import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import ray
import structlog
from ray import serve
from ray.actor import ActorHandle
from ray.exceptions import RayActorError

from actors.consumers import Health
from actors.detector import DetectorActor
from actors.indexer import IndexerActor
from actors.keeping import Answer, Keeping
from actors.loopback import listen_on_loopback_only
from actors.names import NAMESPACE, expected
from actors.summarizer import SummarizerActor
from signals.clients.postgres import open_pool, transaction
from signals.errors import DependencyUnavailable
from signals.logs import configure_logs
from signals.settings import PostgresSettings, RuntimeSettings
from signals.store import workers
from signals.store.workers import Kind

RECONCILE_S: Final = 3.0
ANSWER_S: Final = 5.0
MAX_STALL_S: Final = 60.0  # the supervisor's own loop
ACTOR_CPUS: Final = 0.1  # more than nothing, so that a head node with 0 CPUs gets none

KINDS: Final[dict[Kind, Any]] = {
    "incident-engine": DetectorActor,
    "indexer": IndexerActor,
    "ai-worker": SummarizerActor,
}

log = structlog.get_logger(__name__)


class Reconciler:
    """Brings the actors that exist closer to those that must; idempotent by name."""

    def __init__(self, runtime: RuntimeSettings) -> None:
        self._expected = expected(runtime)
        self._keeping = Keeping(expected=frozenset(self._expected))

    def reconcile(self) -> None:
        """Do one round; failures of single actors are logged and met again in the next round."""
        actors = {name: _actor(name, kind) for name, kind in self._expected.items()}
        for name in self._keeping.stuck(_ask(actors)):
            log.error("replacing a stuck actor", actor=name)
            ray.kill(actors[name], no_restart=True)
        for name in self._keeping.surplus(_existing()):
            _end(name)


def _actor(name: str, kind: Kind) -> ActorHandle[Any]:
    """Find the actor, or create it."""
    options = KINDS[kind].options(
        name=name,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        max_restarts=-1,
        num_cpus=ACTOR_CPUS,
        scheduling_strategy="SPREAD",
    )
    actor: ActorHandle[Any] = options.remote(name)
    return actor


def _ask(actors: Mapping[str, ActorHandle[Any]]) -> dict[str, Answer]:
    asked: dict[str, ray.ObjectRef[Health]] = {name: actor.health.remote() for name, actor in actors.items()}
    answered, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=ANSWER_S)
    return {name: _heard(name, answer) if answer in answered else "silent" for name, answer in asked.items()}


def _heard(name: str, answer: "ray.ObjectRef[Health]") -> Answer:
    try:
        health: Health = ray.get(answer, timeout=ANSWER_S)
    except RayActorError as error:
        log.warning("actor down", actor=name, error=type(error).__name__)
        return "restarting"
    return health


def _existing() -> list[str]:
    entries = ray.util.list_named_actors(all_namespaces=True)
    return [entry["name"] for entry in entries if entry["namespace"] == NAMESPACE]


def _end(name: str) -> None:
    try:
        ray.kill(ray.get_actor(name, namespace=NAMESPACE), no_restart=True)
    except ValueError:  # it ended by itself since it was listed
        return
    log.info("ended a surplus actor", actor=name)


@serve.deployment(
    name="supervisor", num_replicas=1, ray_actor_options={"num_cpus": ACTOR_CPUS}, health_check_period_s=10
)
class Supervisor:
    """Hosts the reconciler's thread in a replica that Serve keeps alive."""

    def __init__(self) -> None:
        configure_logs()
        listen_on_loopback_only()
        self._runtime = RuntimeSettings.from_env()
        self._last_round = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)
        self._thread.start()

    def check_health(self) -> None:
        """Tell Serve whether to replace this replica."""
        if not self._thread.is_alive() or time.monotonic() - self._last_round > MAX_STALL_S:
            raise RuntimeError("the reconciler stands still")

    def _run(self) -> None:
        self._forget_surplus_heartbeats()
        reconciler = Reconciler(self._runtime)
        while True:
            reconciler.reconcile()
            self._last_round = time.monotonic()
            time.sleep(RECONCILE_S)

    def _forget_surplus_heartbeats(self) -> None:
        try:
            with open_pool(PostgresSettings.from_env(), size=1) as pool, transaction(pool) as connection:
                workers.forget_others(connection, list(expected(self._runtime)))
        except DependencyUnavailable as error:
            log.warning("old heartbeats stay listed", reason=error.reason)
