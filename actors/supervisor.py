"""Keeps the consumer actors there: missing ones are created, stuck ones replaced, surplus ones ended."""

import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack, suppress
from typing import Any, Final

import ray
import structlog
from ray import serve
from ray.actor import ActorHandle
from ray.exceptions import RayActorError

from actors.consumers import Health, running_code
from actors.keeping import HealthAnswer, HealthTracker, evicted, outdated, surplus
from actors.late import late_class
from actors.names import NAMESPACE, expected
from signals.clients.postgres import open_pool, transaction
from signals.consumer_kinds import KINDS
from signals.errors import DependencyUnavailable, SettingsError
from signals.logs import configure_logs
from signals.periodic import Interval, repeated
from signals.ray_node.draining import draining_nodes
from signals.ray_node.loopback import listen_on_loopback_only
from signals.settings import ConsumerSettings, PostgresSettings
from signals.store.operations import workers

RECONCILE_S: Final = 3.0
ANSWER_S: Final = 5.0
MAX_STALL_S: Final = 60.0  # the supervisor's own loop
FORGET_EVERY_S: Final = 300.0  # a cluster that ran beside this one may have left heartbeats
ACTOR_CPUS: Final = 0.1  # more than nothing, so that a head node with 0 CPUs gets none

CLASSES: Final[dict[str, Any]] = {kind.name: ray.remote(late_class(kind.actor)) for kind in KINDS}
"""The actor's class of each kind."""

log = structlog.get_logger(__name__)


class Reconciler:
    """Brings the actors that exist closer to those that must; idempotent by name."""

    def __init__(self) -> None:
        self._keeping = HealthTracker()
        self._code = running_code()

    def reconcile(self, expected: Mapping[str, str]) -> list[str]:
        """Do one round and return whom it ended; failures of single actors are met again in the next one."""
        actors = {name: _actor(name, kind) for name, kind in expected.items()}
        answers = _ask(actors)
        for name in self._keeping.stuck(answers):
            log.warning("replacing an actor", actor=name, answer=answers[name])
            ray.kill(actors[name], no_restart=True)
        for name in evicted(answers, draining_nodes()):
            log.info("leaving a draining node", actor=name)
            actors[name].stop.remote()
        for name in outdated(answers, self._code):
            log.info("leaving other code", actor=name)
            actors[name].stop.remote()
        leaving = _existing(surplus(_names(), expected))
        for actor in leaving.values():
            actor.stop.remote()
        ended = self._keeping.ended(_ask(leaving))
        for name in ended:
            ray.kill(leaving[name], no_restart=True)
            log.info("ended a surplus actor", actor=name)
        return ended


def _actor(name: str, kind: str) -> ActorHandle[Any]:
    """Find the actor, or create it."""
    options = CLASSES[kind].options(
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


def _ask(actors: Mapping[str, ActorHandle[Any]]) -> dict[str, HealthAnswer]:
    asked: dict[str, ray.ObjectRef[Health]] = {name: actor.health.remote() for name, actor in actors.items()}
    answered, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=ANSWER_S)
    return {name: _heard(name, answer) if answer in answered else "silent" for name, answer in asked.items()}


def _heard(name: str, answer: "ray.ObjectRef[Health]") -> HealthAnswer:
    try:
        health: Health = ray.get(answer, timeout=ANSWER_S).completed()
    except RayActorError as error:
        log.warning("actor down", actor=name, error=type(error).__name__)
        return "restarting"
    return health


def _names() -> list[str]:
    entries = ray.util.list_named_actors(all_namespaces=True)
    return [entry["name"] for entry in entries if entry["namespace"] == NAMESPACE]


def _existing(names: Iterable[str]) -> dict[str, ActorHandle[Any]]:
    found = {}
    for name in names:
        with suppress(ValueError):  # it ended by itself since it was listed
            found[name] = ray.get_actor(name, namespace=NAMESPACE)
    return found


@serve.deployment(
    name="supervisor",
    num_replicas=1,
    user_config={},
    ray_actor_options={"num_cpus": ACTOR_CPUS},
    health_check_period_s=10,
)
class Supervisor:
    """Reconciles every few seconds, in a replica that Serve keeps alive."""

    def __init__(self) -> None:
        configure_logs()
        listen_on_loopback_only()
        self._expected: Mapping[str, str] = {}
        self._reconciler = Reconciler()
        self._forgetting = Interval(FORGET_EVERY_S)
        self._last_round: float | None = None
        self._stack = ExitStack()

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take new counts; Serve calls it after the constructor and whenever `user_config` changes."""
        self._expected = expected(user_config, ConsumerSettings.from_env())
        log.info("consumers expected", names=list(self._expected))
        if self._last_round is None:  # not before the counts are known, or it would end what must run
            self._last_round = time.monotonic()
            self._stack.enter_context(repeated(self._round, every_s=RECONCILE_S, name="reconciliation"))

    def check_health(self) -> None:
        """Tell Serve whether to replace this replica."""
        if self._last_round is None or time.monotonic() - self._last_round > MAX_STALL_S:
            raise RuntimeError("the reconciler stands still")

    def _round(self) -> None:
        now_expected = self._expected
        has_ended = self._reconciler.reconcile(now_expected)
        if self._forgetting.is_due() or has_ended:
            _forget_surplus_heartbeats(now_expected)
        self._last_round = time.monotonic()


def _forget_surplus_heartbeats(expected: Collection[str]) -> None:
    try:
        with open_pool(PostgresSettings.from_env(), size=1) as pool, transaction(pool) as connection:
            workers.forget_others(connection, list(expected))
    except (DependencyUnavailable, SettingsError) as error:
        log.warning("old heartbeats stay listed", reason=str(error))
