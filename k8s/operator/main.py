"""`signals-operator`: the operator's process. Assembles the parts and runs them until a signal."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import kopf
import structlog

from k8s.operator import metrics, readiness, restarts
from k8s.operator.cluster import SCENARIO, STACK, Cluster, open_cluster
from k8s.operator.handlers import Loop, registry_for
from k8s.operator.lease import LeaseHolder
from k8s.operator.scenario import core_api
from k8s.operator.scenario.reconciler import ScenarioReconciler
from k8s.operator.settings import OperatorSettings
from k8s.operator.stack_reconciler import StackReconciler
from k8s.operator.work_queue import Key, WorkQueue

END_S: Final = 10.0  # well below the pod's grace period

Reconcile = Callable[[str, str], timedelta | None]
"""A pass over one object, by namespace and name; returns the delay to the next pass, None when it is gone."""

log = structlog.get_logger(__name__)


def main() -> None:
    """Run until a signal; exit code 1 when the loop ended by itself."""
    settings = OperatorSettings()
    _configure_logs(settings.signals_log_level)
    with (
        open_cluster() as cluster,
        metrics.serving(settings.signals_operator_listen, settings.signals_operator_metrics_port),
    ):
        failure = asyncio.run(_operate(settings, cluster))
    if failure is not None:
        raise SystemExit(1)


def reconcilers(cluster: Cluster) -> Mapping[str, Reconcile]:
    """Return the reconcile function of each kind."""
    stacks = StackReconciler(cluster, ask=readiness.ask, now=_now)

    def stack(namespace: str, name: str) -> timedelta | None:
        outcome = stacks.reconcile(namespace, name)
        metrics.record_stack(namespace, name, outcome, time.time())
        return outcome.again_in

    scenarios = ScenarioReconciler(cluster, ask=core_api.ask, now=_now)
    return {STACK.kind: stack, SCENARIO.kind: scenarios.reconcile}


async def _operate(settings: OperatorSettings, cluster: Cluster) -> BaseException | None:
    """Run kopf until a signal; return the error that ended the loop, None after a signal.

    kopf ends when a request of its start fails: it is started again, until the API server answers.
    """

    async def pause(pause_s: float) -> bool:
        listen, port = settings.signals_operator_listen, settings.signals_operator_health_port
        return await restarts.alive_pause(pause_s, address=listen, port=port)

    return await restarts.repeat(lambda: _operate_once(settings, cluster), pause=pause)


async def _operate_once(settings: OperatorSettings, cluster: Cluster) -> BaseException | None:
    """Run kopf and the queue; return the error that ended the loop, None after a signal."""
    by_kind, stop = reconcilers(cluster), asyncio.Event()
    queue = WorkQueue(lambda key: _measured(by_kind, key))
    lease = LeaseHolder(
        cluster,
        namespace=settings.pod_namespace,
        name=settings.signals_operator_lease,
        identity=settings.pod_name,
        now=_now,
    )
    loop = Loop(queue, lease, stop)
    operator = asyncio.create_task(
        kopf.operator(
            registry=registry_for(loop, queue, cluster),
            standalone=True,
            namespaces=settings.namespaces,
            liveness_endpoint=(
                f"http://{settings.signals_operator_listen}:{settings.signals_operator_health_port}/healthz"
            ),
            stop_flag=stop,
        )
    )
    await _wait_until_ended(operator, stop)
    return loop.failure


async def _wait_until_ended(operator: asyncio.Task[None], stop: asyncio.Event) -> None:
    """Wait until kopf has ended, by itself or within `END_S` of the stop.

    A starting kopf may wait for credentials indefinitely: then the process ends without it.
    """
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({operator, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    await asyncio.wait({operator}, timeout=END_S)
    if not operator.done():
        os._exit(1)
    operator.result()


def _measured(by_kind: Mapping[str, Reconcile], key: Key) -> timedelta | None:
    reconcile = by_kind.get(key.kind)
    if reconcile is None:
        return None
    result = "failed"
    try:
        with metrics.DURATION.labels(key.kind).time():
            again_in = reconcile(key.namespace, key.name)
        result = "done"
    finally:
        metrics.RECONCILIATIONS.labels(key.kind, result).inc()
    return again_in


def _now() -> datetime:
    return datetime.now(UTC)


def _configure_logs(level: str) -> None:
    """Log one JSON line an entry, kopf's entries included."""
    number = getattr(logging, level.upper())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=True,
    )
    kopf.configure(log_format=kopf.LogFormat.JSON)
    logging.getLogger().setLevel(max(number, logging.WARNING))  # kopf logs each watched event at info


if __name__ == "__main__":
    main()
