"""Notices: from an open incident to its message on the wire, and how many messages a notifier sends."""

import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, LiteralString
from uuid import uuid4

import psycopg
from cryptography.fernet import Fernet
from psycopg_pool import ConnectionPool
from pydantic import SecretStr

from benchmarks.backlog import empty, remember
from benchmarks.cpu import tree_cpu_s
from benchmarks.events import kinds
from benchmarks.rounds import Contender, Plan, Round, Row, Target, costs_at_most
from benchmarks.rows.latency import SHOWN, background, percentiles, spike, wait_for
from benchmarks.servers import Servers, open_servers
from benchmarks.timing import ours, started
from shared_types import Tenancy
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.connection import ensure_topics
from signals.clients.kafka.publisher import open_publisher
from signals.clients.outbound.http import OutboundHttp
from signals.clients.outbound.senders import open_sender
from signals.clients.postgres import Connection, conninfo, open_pool
from signals.clients.sealing import open_seal
from signals.domain.access.principal import Principal
from signals.domain.access.scopes import RIGHTS, Scope
from signals.domain.notifications.addresses import AllowList
from signals.domain.notifications.route_fields import RouteFields
from signals.services.access.provisioning import create_org, create_project
from signals.services.notifications.destination_bodies import NewDestination
from signals.services.notifications.destinations import Destinations
from signals.services.notifications.routes import Routes
from signals.settings import KafkaSettings, NotificationSettings, PostgresSettings
from tests.support.receivers import HttpReceiver, http_receiver

ORG: Final = "org_bench"
LOOPBACK: Final = "127.0.0.0/8"
KEY: Final = Fernet.generate_key().decode()
BODY: Final = b"x" * 1_000  # about a webhook's
DESTINATIONS: Final = 5
WARM_UPS: Final = 10  # until the engine has its partitions and the notifier its connections
BETWEEN_S: Final = 0.3  # a new incident finds the notifier idle, and its last poll at any distance
SEND_WITHIN_S: Final = 120.0
VERDICTS: Final = ["confirmed", "unconfirmed", "learning"]
BUSY_PER_S: Final = 20_000  # events that the engine counts meanwhile: a quarter of what it takes on two cores
GUARDED: Final = 12.0

OPENED: LiteralString = """
SELECT c.at FROM pipeline.incident_changes c JOIN incidents i ON i.id = c.incident_id
WHERE i.project_id = %s AND c.kind = 'opened'
"""
OPEN_MANY: LiteralString = """
INSERT INTO incidents (id, org_id, project_id, environment, fingerprint, status, severity, title, opened_at,
                       last_seen_at)
SELECT gen_random_uuid(), %(org_id)s, %(project_id)s, 'prod', gen_random_uuid() || '|/x|prod', 'open',
       'error', 'CODE_' || n || ' at /x', now(), now()
FROM generate_series(1, %(incidents)s) AS n
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Servers, topics, and how many incidents a round has."""

    plan: Plan
    servers: Servers
    kafka: KafkaSettings
    incidents: int

    def tell(self, per_s: int = 0, *, notifies: bool = True) -> Round:
        """Open one incident after the other, each of a project of its own, and await its message.

        The engine counts `per_s` calm events a second meanwhile. Without a notifier the incident is awaited.
        The topic is empty: an engine on a new database would open the incidents of the last round again.
        """
        empty(self.kafka)
        with ExitStack() as stack:
            receiver = stack.enter_context(http_receiver())
            settings = stack.enter_context(self.servers.fresh_database())
            projects = [f"proj_{number}" for number in range(WARM_UPS + self.incidents)]
            with open_pool(settings, size=1) as pool:
                _provision(pool, projects, receiver, destinations=1)
            environment = self._environment(settings)
            names = ("detect", "notify") if notifies else ("detect",)
            running = [
                stack.enter_context(started(ours(name, environment), self._log(name))) for name in names
            ]
            publisher = stack.enter_context(open_publisher(self.kafka))
            connection = stack.enter_context(psycopg.connect(conninfo(settings), autocommit=True))
            taken, used, began = [0.0] * 0, [0.0] * len(running), 0.0
            for number, project_id in enumerate(projects):
                if number == WARM_UPS:
                    if per_s:
                        stack.enter_context(background(publisher, per_s))
                    used, began = [tree_cpu_s(one.pid) for one in running], time.monotonic()
                publisher.publish_and_wait(RAW_TOPIC, spike(f"SPIKE_{number}", project_id))
                if notifies:
                    wait_for(partial(_has, receiver, number + 1))
                else:
                    wait_for(partial(_opened_at, connection, project_id))
                if number >= WARM_UPS:
                    arrived_at = receiver.requests[-1].at if notifies else time.monotonic()
                    taken.append(_after_opening_s(connection, project_id, arrived_at))
                time.sleep(BETWEEN_S)
            wall_s = time.monotonic() - began
            cpu_s = [tree_cpu_s(one.pid) - before for one, before in zip(running, used, strict=True)]
            found = percentiles(taken, wall_s, sum(cpu_s))
            engine_us = cpu_s[0] / (per_s * wall_s) * 1e6 if per_s else 0.0
            return replace(found, extra={**found.extra, "engine_cpu_us": engine_us})

    def post(self) -> Round:
        """Post as many bodies through the guarded client alone: no plan, lease, signature or log."""
        with http_receiver() as receiver:
            http = OutboundHttp(AllowList.parse(LOOPBACK), ssl.create_default_context(), timeout_s=10)
            sends = self.incidents * DESTINATIONS
            cpu_s, began = time.thread_time(), time.monotonic()
            for _ in range(sends):
                http.post(f"{receiver.url}/hook", BODY, {})
            return Round(events=sends, wall_s=time.monotonic() - began, cpu_s=time.thread_time() - cpu_s)

    def send(self) -> Round:
        """Open many incidents at once, and await a message of each at every destination."""
        with ExitStack() as stack:
            receiver = stack.enter_context(http_receiver())
            settings = stack.enter_context(self.servers.fresh_database())
            with open_pool(settings, size=1) as pool:
                _provision(pool, ["proj_0"], receiver, destinations=DESTINATIONS)
            connection = stack.enter_context(psycopg.connect(conninfo(settings), autocommit=True))
            environment = self._environment(settings)
            running = stack.enter_context(started(ours("notify", environment), self._log("notify")))
            _open_incidents(connection, 1)
            wait_for(partial(_has, receiver, DESTINATIONS))  # connected and warm
            wanted = DESTINATIONS * (1 + self.incidents)
            cpu_s, began = tree_cpu_s(running.pid), time.monotonic()
            _open_incidents(connection, self.incidents)
            wait_for(partial(_has, receiver, wanted), SEND_WITHIN_S)
            wall_s, cpu_s = time.monotonic() - began, tree_cpu_s(running.pid) - cpu_s
            assert len(receiver.requests) == wanted, "a message was sent twice"
            sends = wanted - DESTINATIONS
            return Round(events=sends, wall_s=wall_s, cpu_s=cpu_s, extra={"send_cpu_ms": cpu_s / sends * 1e3})

    def _log(self, name: str) -> Path:
        return self.plan.folder / f"{name}-{uuid4().hex[:8]}.log"

    def _environment(self, database: PostgresSettings) -> dict[str, str]:
        return {
            "KAFKA_BROKERS": self.kafka.kafka_brokers,
            "KAFKA_GROUP_PROTOCOL": self.kafka.kafka_group_protocol,
            "DATABASE_URL": database.database_url.get_secret_value(),
            "PG_SSLMODE": "disable",
            "SIGNALS_SECRET_KEYS": KEY,
            "SIGNALS_NOTIFY_ALLOW": LOOPBACK,
        }


def _provision(
    pool: ConnectionPool[Connection], projects: Sequence[str], receiver: HttpReceiver, *, destinations: int
) -> None:
    """Create projects with webhooks of their own, which take every incident of it."""
    wanted = NotificationSettings(signals_secret_keys=SecretStr(KEY), signals_notify_allow=LOOPBACK)
    store = Destinations(pool, open_seal(wanted), open_sender(wanted))
    create_org(pool, ORG, "An organisation")
    for project_id in projects:
        create_project(pool, project_id, org_id=ORG, name="A project")
        caller = Principal(
            key_id=uuid4(), tenancy=Tenancy(ORG, project_id), rights=RIGHTS[Scope.READ], standing=Scope.READ
        )
        for number in range(destinations):
            target = {"kind": "webhook", "url": f"{receiver.url}/hook"}
            new = NewDestination.model_validate({"name": f"hook-{number}", "target": target})
            route = {"destination_id": store.create(caller, new).destination.id, "verdicts": VERDICTS}
            Routes(pool).create(caller, RouteFields.model_validate(route))


def _open_incidents(connection: Connection, incidents: int) -> None:
    """Open incidents as far as the notifier sees them, in one transaction."""
    connection.execute(OPEN_MANY, {"org_id": ORG, "project_id": "proj_0", "incidents": incidents})


def _opened_at(connection: Connection, project_id: str) -> datetime | None:
    row = connection.execute(OPENED, [project_id]).fetchone()
    return row[0] if row else None


def _after_opening_s(connection: Connection, project_id: str, arrived_at: float) -> float:
    """Return the time from the begin of the engine's transaction to `arrived_at` of the monotonic clock."""
    opened_at = _opened_at(connection, project_id)
    assert opened_at is not None, "a message without a change"
    return time.time() - opened_at.timestamp() - (time.monotonic() - arrived_at)


def _has(receiver: HttpReceiver, requests: int) -> bool:
    return len(receiver.requests) >= requests


@contextmanager
def _bench(plan: Plan, incidents: int) -> Iterator[Bench]:
    with open_servers(plan, "postgres", "kafka") as servers:
        kafka = servers.kafka()
        ensure_topics(kafka)
        remember(servers.prepare_template(), kinds(), len(kinds()))
        yield Bench(plan=plan, servers=servers, kafka=kafka, incidents=incidents)


@contextmanager
def _open_latency(plan: Plan) -> Iterator[list[Contender]]:
    with _bench(plan, plan.pick(full=100, quick=30, tiny=3)) as bench:
        alone = partial(bench.tell, BUSY_PER_S, notifies=False)
        yield [
            Contender(name="engine alone, busy", role="limit", run=alone, note="no notifier"),
            Contender(name="idle", role="ours", run=bench.tell),
            Contender(name="busy", role="ours", run=partial(bench.tell, BUSY_PER_S)),
        ]


@contextmanager
def _open_sends(plan: Plan) -> Iterator[list[Contender]]:
    with _bench(plan, plan.pick(full=300, quick=100, tiny=5)) as bench:
        yield [
            Contender(name="POST alone", role="limit", run=bench.post, note="no plan, lease, signature, log"),
            Contender(name="notifier", role="ours", run=bench.send),
        ]


ROWS: Final = (
    Row(
        name="latency-notice",
        title="open incident → message at a webhook",
        unit="incident",
        method="One spike after the other, each in a project of its own, through engine, PostgreSQL and "
        "notifier, each in its own process. Timed from the beginning of the transaction that opens the "
        "incident to the whole request at a receiver on loopback. Busy: the engine counts "
        f"{BUSY_PER_S:,} calm events a second meanwhile; its processor time is per such event.",
        open=_open_latency,
        shown=(*SHOWN, "engine_cpu_us"),
        targets=(
            Target(sentence="idle p50 ≤ 50 ms", figure="p50_ms", at_most=50, ours="idle"),
            Target(sentence="idle p99 ≤ 250 ms", figure="p99_ms", at_most=250, ours="idle"),
            Target(sentence="busy p50 ≤ 200 ms", figure="p50_ms", at_most=200, ours="busy"),
            Target(
                sentence="engine's processor time ≤ +5 %",
                figure="engine_cpu_us",
                at_most=1.05,
                of="limit",
                ours="busy",
            ),
        ),
    ),
    Row(
        name="notices",
        title="unplanned incidents → messages at five webhooks",
        unit="message",
        method="Incidents opened in one transaction, five webhooks that take all, one notifier that waits. "
        "Timed until the last message is received; CPU is the notifier's.",
        open=_open_sends,
        shown=("rate", "send_cpu_ms", "cpu_us"),
        targets=(
            Target(sentence="≥ 150 messages/s", figure="rate", at_least=150),
            Target(sentence="≤ 5 CPU-ms a message", figure="send_cpu_ms", at_most=5),
        ),
        guards=(costs_at_most(GUARDED),),
    ),
)
