"""Needs of larger rates, computed from measured costs. Pure: a model, not a measurement.

Everything is linear in events but PostgreSQL, whose work is per fingerprint that a batch touches: fan-in
decides, and is written out here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from benchmarks.figures import Measured
from benchmarks.results import RowResult

BUSY_SHARE: Final = 0.6  # guess: how full a core is planned, so that a lost node's work fits elsewhere
BATCH: Final = 1_000  # guess, from `contention`: events of a transaction while a detector keeps up
EACH_ITS_ROW: Final = "100 k fingerprints"  # the contender of `growth` where an event is a bucket
RECORD_BYTES: Final = 513  # mean of the benchmark's events, uncompressed
DOCUMENT_BYTES: Final = 350  # guess: an indexed event on disk, one copy
COPIES: Final = {"kafka": 3, "opensearch": 2}  # as managed services run them
OPENSEARCH_NODE_CORES: Final = 8  # the size of a node in the answer
PARTITIONS_PER_DETECTOR: Final = 2  # room to double the detectors without moving keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Measured processor time in µs: per event, but `bucket_us` per fingerprint that a batch touches."""

    ingest_us: float
    engine_us: float
    bucket_us: float
    indexer_us: float
    opensearch_us: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Needs of one rate; cores are planned `BUSY_SHARE` full."""

    rate: int
    fingerprints: int
    ingest_cores: int
    kafka_mb_per_s: float
    detectors: int
    partitions: int
    buckets_per_s: float
    postgres_cores: int
    indexers: int
    opensearch_nodes: int
    opensearch_tb_per_day: float


def touched(events: float, keys: float) -> float:
    """Return how many of `keys` equally frequent ones a batch of `events` is expected to touch."""
    return float(keys * (1 - (1 - 1 / keys) ** events)) if keys > 1 else 1.0


def costs_of(rows: Sequence[RowResult]) -> Costs | None:
    """Take the costs from a run's rows, None when one that is needed is missing or failed."""
    found = {row.name: row for row in rows if not row.error}
    engine, indexer, ingest = (_ours(found.get(name)) for name in ("engine", "indexer", "ingest-batches"))
    buckets = _ours(found.get("growth"), EACH_ITS_ROW)
    if engine is None or indexer is None or ingest is None or buckets is None:
        return None
    return Costs(
        ingest_us=_figure(ingest, "cpu_us"),
        engine_us=_figure(engine, "cpu_us"),
        bucket_us=_figure(buckets, "postgres_cpu_us"),
        indexer_us=_figure(indexer, "cpu_us"),
        opensearch_us=_figure(indexer, "opensearch_cpu_us"),
    )


def needs(costs: Costs, *, rate: int, fingerprints: int) -> Needs:
    """Compute the needs of `rate` events a second over that many equally frequent fingerprints."""
    detectors = _cores(rate * costs.engine_us)  # one thread each
    batches_per_s = rate / BATCH
    buckets_per_s = batches_per_s * touched(BATCH, fingerprints / detectors)
    opensearch_cores = _cores(rate * costs.opensearch_us * COPIES["opensearch"])
    return Needs(
        rate=rate,
        fingerprints=fingerprints,
        ingest_cores=_cores(rate * costs.ingest_us),
        kafka_mb_per_s=rate * RECORD_BYTES * COPIES["kafka"] / 1e6,
        detectors=detectors,
        partitions=detectors * PARTITIONS_PER_DETECTOR,
        buckets_per_s=buckets_per_s,
        postgres_cores=_cores(buckets_per_s * costs.bucket_us),
        indexers=_cores(rate * costs.indexer_us),
        opensearch_nodes=ceil(opensearch_cores / OPENSEARCH_NODE_CORES),
        opensearch_tb_per_day=rate * DOCUMENT_BYTES * COPIES["opensearch"] * 86_400 / 1e12,
    )


def _cores(us_per_s: float) -> int:
    return ceil(us_per_s / 1e6 / BUSY_SHARE)


def _ours(row: RowResult | None, name: str = "") -> Measured | None:
    contenders = row.contenders if row else ()
    return next((one for one in contenders if one.role == "ours" and name in one.name), None)


def _figure(one: Measured, figure: str) -> float:
    value = one.median(figure)
    assert value is not None, f"{one.name} has no {figure}"
    return value
