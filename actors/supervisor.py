"""Keeps the consumer actors there: missing ones are created, stuck ones replaced, surplus ones ended."""

import threading
import time
from collections import Counter
from typing import Any, Final

import ray
import structlog
from ray import serve
from ray.actor import ActorHandle
from ray.exceptions import RayActorError

from actors.consumers import Health
from actors.detector import DetectorActor
from actors.indexer import IndexerActor
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
MAX_SILENT_ROUNDS: Final = 4  # without an answer (a stopped process): about 30 s, then replace
MAX_IDLE_S: Final = 150.0  # without a round of its loop: longer than any bounded wait inside a step
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
        self._silent: Counter[str] = Counter()

    def reconcile(self) -> None:
        """Do one round; failures of single actors are logged and met again in the next round."""
        asked: dict[str, tuple[ActorHandle[Any], ray.ObjectRef[Health]]] = {}
        for name, kind in self._expected.items():
            actor = (
                KINDS[kind]
                .options(
                    name=name,
                    namespace=NAMESPACE,
                    lifetime="detached",
                    get_if_exists=True,
                    max_restarts=-1,
                    num_cpus=ACTOR_CPUS,
                    scheduling_strategy="SPREAD",
                )
                .remote(name)
            )
            asked[name] = (actor, actor.health.remote())
        answers = [answer for _, answer in asked.values()]
        answered, _ = ray.wait(answers, num_returns=len(answers), timeout=ANSWER_S)
        for name, (actor, answer) in asked.items():
            if self._is_stuck(name, answer if answer in answered else None):
                log.error("replacing a stuck actor", actor=name)
                ray.kill(actor, no_restart=True)
                self._silent.pop(name)
        self._end_surplus()

    def _is_stuck(self, name: str, answer: "ray.ObjectRef[Health] | None") -> bool:
        if answer is None:
            self._silent[name] += 1
            return self._silent[name] >= MAX_SILENT_ROUNDS
        try:
            health = ray.get(answer, timeout=ANSWER_S)
        except RayActorError as error:  # it is being restarted
            log.warning("actor down", actor=name, error=type(error).__name__)
            return False
        self._silent[name] = 0
        return health.idle_s is not None and health.idle_s > MAX_IDLE_S

    def _end_surplus(self) -> None:
        for entry in ray.util.list_named_actors(all_namespaces=True):
            if entry["namespace"] == NAMESPACE and entry["name"] not in self._expected:
                try:
                    ray.kill(ray.get_actor(entry["name"], namespace=NAMESPACE), no_restart=True)
                except ValueError:  # it ended by itself since it was listed
                    continue
                log.info("ended a surplus actor", actor=entry["name"])


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
