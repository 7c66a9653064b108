"""The labelled corpus through the real engine: the functions' incidents again, and no figure falls."""

from psycopg_pool import ConnectionPool

from benchmarks.detection.figures import compare_engine, engine_series, fallen, kept_figures
from benchmarks.detection.through_engine import confirmed_by_engine
from signals.clients.kafka.publisher import Publisher
from signals.clients.postgres import Connection
from signals.settings import KafkaSettings


def test_engine_finds_what_the_functions_find_in_the_corpus(
    kafka: KafkaSettings, pool: ConnectionPool[Connection], publisher: Publisher
) -> None:
    series = engine_series()
    shares, same = compare_engine(confirmed_by_engine(series, kafka, pool, publisher))
    assert same == len(series)
    kept = kept_figures().engine
    assert kept.keys() == shares.keys()
    assert fallen(kept, shares) == []
