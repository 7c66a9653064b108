"""Doors for other products' clients, beside our own protocol in the same run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from benchmarks.door_bodies import IGNORED_ONLY, OTLP_ALL, OTLP_TENTH, SEGMENT, SENTRY
from benchmarks.ingest_load import Shape
from benchmarks.peers.environments import peer
from benchmarks.rounds import Contender, Plan, Row, Target
from benchmarks.rows.ingest import BATCHES, SINGLE, SMALL, open_bench

NATIVE: Final = "our own protocol"
IGNORED_NAME: Final = "ignored items only"
TENTH_NAME: Final = "one in ten kept"
ALL_NAME: Final = "all kept"
SEGMENT_NAME: Final = "Segment batch of 100"


@contextmanager
def _sentry(plan: Plan) -> Iterator[Sequence[Contender]]:
    with open_bench(plan) as bench, bench.on_serve() as serve:
        yield [
            Contender(name="Sentry envelope", role="ours", run=partial(bench.load, SENTRY, serve)),
            Contender(name=IGNORED_NAME, role="ours", run=partial(bench.load, IGNORED_ONLY, serve)),
            Contender(
                name=NATIVE,
                role="limit",
                run=partial(bench.load, SINGLE, serve),
                note="one event a request, a tenth of the bytes",
            ),
            Contender(
                name="Bugsink",
                role="peer",
                run=partial(bench.through, partial(peer, "bugsink"), SENTRY),
                note="the same envelopes until the last is digested; it answers before that",
            ),
        ]


@contextmanager
def _segment(plan: Plan) -> Iterator[Sequence[Contender]]:
    with open_bench(plan) as bench, bench.on_serve() as serve:
        yield [
            Contender(name=SEGMENT_NAME, role="ours", run=partial(bench.load, SEGMENT, serve)),
            Contender(
                name=NATIVE,
                role="limit",
                run=partial(bench.load, SMALL, serve),
                note="batches of 100",
            ),
        ]


@contextmanager
def _otlp(plan: Plan) -> Iterator[Sequence[Contender]]:
    with open_bench(plan) as bench, bench.on_serve() as serve:
        yield [
            Contender(name=TENTH_NAME, role="ours", run=partial(bench.load, OTLP_TENTH, serve)),
            Contender(name=ALL_NAME, role="ours", run=partial(bench.load, OTLP_ALL, serve)),
            Contender(
                name=NATIVE,
                role="limit",
                run=partial(bench.load, BATCHES, serve),
                note="batches of 500",
            ),
        ]


def _cpu(ours: str, times: float) -> Target:
    """Guard by a ratio to our own protocol's processor time: it stays the same on a busy machine."""
    sentence = f"{ours}: ≤ {times:g}× our own protocol's CPU"
    return Target(sentence=sentence, figure="cpu_us", at_most=times, of="limit", ours=ours)


def _method(shape: Shape, what: str) -> str:
    return (
        f"{what}, {shape.connections} connections, on Serve and HAProxy as `make up` starts them. Each "
        "request is answered after Kafka's acknowledgement; processor time is that of the whole Ray node."
    )


ROWS: Final = (
    Row(
        name="doors-sentry",
        title="Doors: Sentry, one event a request, 32 connections",
        unit="request",
        method=_method(SINGLE, "The recorded envelope of a Flask program (10.6 kB, compressed with br)"),
        open=_sentry,
        targets=(
            Target(
                sentence="Sentry envelope: ≥ 60 % of our own protocol",
                figure="rate",
                at_least=0.6,
                of="limit",
                ours="Sentry envelope",
            ),
            Target(
                sentence="Sentry envelope: ≥ 10× Bugsink",
                figure="rate",
                at_least=10.0,
                of="Bugsink",
                ours="Sentry envelope",
            ),
            Target(
                sentence="ignored only: ≥ our own protocol",
                figure="rate",
                at_least=1.0,
                of="limit",
                ours=IGNORED_NAME,
            ),
        ),
        guards=(_cpu("Sentry envelope", 3.0), _cpu(IGNORED_NAME, 1.5)),
        shown=("rate", "cpu_us", "p50_ms", "p99_ms"),
    ),
    Row(
        name="doors-segment",
        title="Doors: Segment, batches of 100",
        unit="event",
        method=_method(SMALL, "The recorded call of Segment's Python library, 100 a batch"),
        open=_segment,
        targets=(Target(sentence="within 15 % of native batches", figure="rate", at_least=0.85, of="limit"),),
        guards=(_cpu(SEGMENT_NAME, 3.0),),
        shown=("rate", "cpu_us", "p50_ms", "p99_ms"),
    ),
    Row(
        name="doors-otlp",
        title="Doors: OTLP logs as protobuf, 500 records a request",
        unit="record",
        method=_method(BATCHES, "The recorded log records of a Python program"),
        open=_otlp,
        targets=(
            Target(
                sentence="one in ten kept: ≤ 15 CPU-µs a record",
                figure="cpu_us",
                at_most=15.0,
                ours=TENTH_NAME,
            ),
            Target(sentence="all kept: ≤ 45 CPU-µs a record", figure="cpu_us", at_most=45.0, ours=ALL_NAME),
        ),
        guards=(_cpu(TENTH_NAME, 1.5), _cpu(ALL_NAME, 5.0)),
        shown=("rate", "cpu_us", "p50_ms", "p99_ms"),
    ),
)
