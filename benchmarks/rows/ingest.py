"""Ingest over HTTP: one event a request, and batches, each answered after Kafka's acknowledgement."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from benchmarks.ingest_load import IngestBench, Shape
from benchmarks.peers.environments import peer
from benchmarks.rounds import Contender, Plan, Row, Target, costs_at_most
from benchmarks.servers import open_servers
from benchmarks.timing import Program, ours
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.connection import ensure_topics
from signals.clients.postgres import open_pool
from signals.domain.access.scopes import Scope
from signals.services.access import provisioning

SINGLE: Final = Shape(connections=32, events=1)
BATCHES: Final = Shape(connections=8, events=500)
GZIPPED: Final = Shape(connections=8, events=500, gzipped=True)
SMALL: Final = Shape(connections=32, events=100)


@contextmanager
def open_bench(plan: Plan) -> Iterator[IngestBench]:
    """Open servers with a project and its ingest key."""
    with open_servers(plan, "postgres", "kafka") as servers:
        servers.prepare_template()
        with servers.fresh_database() as database, open_pool(database, size=1) as pool:
            kafka = servers.kafka()
            ensure_topics(kafka)
            provisioning.create_org(pool, "org_bench", "Bench")
            provisioning.create_project(pool, "proj_bench", org_id="org_bench", name="Bench")
            key = provisioning.issue_key(pool, "proj_bench", Scope.INGEST).text
            environment = {
                "KAFKA_BROKERS": kafka.kafka_brokers,
                "DATABASE_URL": database.database_url.get_secret_value(),
                "PG_SSLMODE": "disable",
                "BENCH_TOPIC": RAW_TOPIC,
            }
            yield IngestBench(plan=plan, servers=servers, environment=environment, key=key)


def _fastapi(environment: Mapping[str, str]) -> Program:
    return peer("fastapi_kafka", environment)


def _fastapi_on_serve(environment: Mapping[str, str]) -> Program:
    return Program(
        argv=(sys.executable, "-m", "benchmarks.peers.fastapi_kafka.on_serve"), environment=environment
    )


@contextmanager
def _single(plan: Plan) -> Iterator[Sequence[Contender]]:
    with open_bench(plan) as bench, bench.on_serve() as serve:
        less = "no keys, tenants, limits, bounds, normalization or ledger"
        yield [
            Contender(name="Serve and HAProxy", role="ours", run=partial(bench.load, SINGLE, serve)),
            Contender(
                name="same on uvicorn",
                role="limit",
                run=partial(bench.fresh, partial(ours, "ingest"), SINGLE),
            ),
            Contender(
                name="FastAPI on uvicorn", role="peer", run=partial(bench.fresh, _fastapi, SINGLE), note=less
            ),
            Contender(
                name="FastAPI on Serve",
                role="peer",
                run=partial(bench.fresh, _fastapi_on_serve, SINGLE),
                note=f"{less}; Serve's default proxy",
            ),
        ]


@contextmanager
def _batches(plan: Plan) -> Iterator[Sequence[Contender]]:
    with open_bench(plan) as bench, bench.on_serve() as serve:
        yield [
            Contender(name="500 plain", role="ours", run=partial(bench.load, BATCHES, serve)),
            Contender(name="500 gzip", role="ours", run=partial(bench.load, GZIPPED, serve)),
            Contender(name="100 plain", role="ours", run=partial(bench.load, SMALL, serve)),
            Contender(
                name="loads and produce",
                role="limit",
                run=partial(bench.produce, BATCHES),
                note="no HTTP, no decompression, no validation; records as they were sent",
            ),
        ]


def _of_500(name: str) -> tuple[Target, ...]:
    return (
        Target(sentence=f"{name}: ≥ 40 % of the limit", figure="rate", at_least=0.4, of="limit", ours=name),
        Target(sentence=f"{name}: ≥ 40 k events/s", figure="rate", at_least=40e3, ours=name),
        Target(sentence=f"{name}: ≤ 25 CPU-µs an event", figure="cpu_us", at_most=25.0, ours=name),
    )


SMALL_TARGET: Final = Target(
    sentence="100 plain: ≥ 32 k events/s", figure="rate", at_least=32e3, ours="100 plain"
)
ROWS: Final = (
    Row(
        name="ingest",
        title="Ingest, one event a request, 32 connections",
        unit="request",
        method=(
            "A client of our own keeps 32 connections busy, each with one request; its processor time is "
            "`loadgen_cpu_s`, Kafka's `kafka_cpu_s`. Ours runs as `make up` starts it, without the other "
            "applications; its processor time is that of the whole Ray node."
        ),
        open=_single,
        targets=(
            Target(sentence="≥ 70 % of plain uvicorn", figure="rate", at_least=0.7, of="limit"),
            Target(sentence="≥ 8× Serve's default proxy", figure="rate", at_least=8.0, of="FastAPI on Serve"),
            Target(sentence="≥ 3,000 requests/s", figure="rate", at_least=3000.0),
            Target(sentence="p99 ≤ 30 ms", figure="p99_ms", at_most=30.0),
            Target(sentence="≤ 0.45 CPU-ms a request over all our processes", figure="cpu_us", at_most=450.0),
        ),
        guards=(costs_at_most(3.5),),  # 2.2 measured
        shown=("rate", "cpu_us", "p50_ms", "p99_ms"),
        limit_s=420.0,
    ),
    Row(
        name="ingest-batches",
        title="Ingest, batches of 500 and of 100",
        unit="event",
        method=(
            "As the row above, with 8 connections of batches of 500 and 32 of batches of 100. The "
            "limit is one process that parses the same bodies and produces their events as they are."
        ),
        open=_batches,
        targets=(*_of_500("500 plain"), *_of_500("500 gzip"), SMALL_TARGET),
        guards=(costs_at_most(9.0, "500 plain"),),  # 6.3 measured
        shown=("rate", "cpu_us", "p50_ms", "p99_ms"),
    ),
)
