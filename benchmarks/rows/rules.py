"""Rules that people write: an event beside a hundred of them, and the preview of a draft."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, LiteralString

import msgspec
import orjson
import psycopg

from benchmarks.bodies import write_bodies
from benchmarks.core_load import Load, on_serve
from benchmarks.events import START, kinds, records
from benchmarks.rounds import Contender, Plan, Round, Row, Target
from benchmarks.servers import open_servers
from shared_types import Tenancy
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.consumer import Record
from signals.clients.postgres import conninfo, open_pool
from signals.domain.access.scopes import Scope
from signals.domain.detection.default_rules import ERRORS_ABOVE_USUAL
from signals.domain.detection.own_rules import OwnRule
from signals.domain.detection.recent_ids import RecentIds
from signals.domain.detection.rule_index import RuleIndex
from signals.domain.detection.rule_text import parse_rule
from signals.domain.events.sightings import SightingReader
from signals.garbage import collect_less_often
from signals.services.access.provisioning import create_org, create_project, issue_key
from signals.services.detection.batch import CountedBatch
from signals.settings import PostgresSettings

RULES: Final = 100
BATCH: Final = 20_000  # events of a batch, as many as the engine asks for
TENANT: Final = Tenancy("org_bench", "proj_bench")
DAYS: Final = 14  # of counts, as many as a preview reads
DRAFT: Final = {**msgspec.to_builtins(ERRORS_ABOVE_USUAL), "name": "draft"}
EVERY: Final = 20  # minutes between two that have events: a million rows for a thousand series
FILL: LiteralString = """
INSERT INTO metrics_buckets (org_id, project_id, environment, metric_name, fingerprint,
                             bucket_start, bucket_seconds, value, updated_at)
SELECT %(org)s, %(project)s, 'prod', 'error_count', 'CODE_' || f || '|/r|prod',
       %(end)s - make_interval(mins => m * %(every)s), 60, 1 + (f + m) %% 5, now()
FROM generate_series(1, %(series)s) f, generate_series(1, %(minutes)s) m
"""


class Counting:
    """Batches at 300 keys, read and counted in memory beside the same own rules in every project."""

    def __init__(self, events: int, rules: Sequence[Mapping[str, object]] = ()) -> None:
        self._index = RuleIndex([OwnRule(parse_rule(rule), 1) for rule in rules])
        self._reader = SightingReader()
        made = [
            Record(RAW_TOPIC, 0, offset, int(START.timestamp() * 1000), key, value, None)
            for offset, (key, value) in enumerate(records(kinds(), events))
        ]
        self._batches = [made[at : at + BATCH] for at in range(0, events, BATCH)]
        self.count()

    def count(self) -> Round:
        """Count every batch as the engine does before its transaction."""
        recent = RecentIds()
        began, cpu_s = time.monotonic(), time.process_time()
        for one in self._batches:
            batch = CountedBatch({0: 0}, recent, self._reader, self._rules)
            batch.add_all(one)
            batch.remember_ids()
        wall_s, cpu_s = time.monotonic() - began, time.process_time() - cpu_s
        return Round(events=sum(map(len, self._batches)), wall_s=wall_s, cpu_s=cpu_s)

    def _rules(self, projects: Collection[str]) -> Mapping[str, RuleIndex]:
        return dict.fromkeys(projects, self._index) if self._index.by_metric else {}


def _rules_of(codes: Sequence[str]) -> list[dict[str, object]]:
    """Return a hundred rules: those of the codes come first, the others select nothing."""
    wanted = [*codes, *(f"NEVER_{number}" for number in range(RULES - len(codes)))]
    return [
        {"name": f"rule-{number}", "kind": "new_series", "on": {"event_type": "error", "error_code": code}}
        for number, code in enumerate(wanted)
    ]


@contextmanager
def _open_counting(plan: Plan) -> Iterator[list[Contender]]:
    events = plan.pick(full=100_000, quick=40_000, tiny=4_000)
    collect_less_often()  # as the engine does
    third = [f"UPSTREAM_TIMEOUT_{number}" for number in range(8)]  # of 25 kinds of events a project
    yield [
        Contender(name="Rules A and B", role="limit", run=Counting(events).count),
        Contender(name="100 others", role="ours", run=Counting(events, _rules_of([])).count),
        Contender(name="a third counts twice", role="ours", run=Counting(events, _rules_of(third)).count),
    ]


def _fill(database: PostgresSettings, series: int) -> str:
    """Store a fortnight of counts, and return a key that may read."""
    with open_pool(database, size=1) as pool:
        create_org(pool, TENANT.org_id, "Bench")
        create_project(pool, TENANT.project_id, org_id=TENANT.org_id, name="Bench")
        key = issue_key(pool, TENANT.project_id, Scope.READ).text
    parameters = {
        "org": TENANT.org_id,
        "project": TENANT.project_id,
        "end": START,
        "every": EVERY,
        "series": series,
        "minutes": DAYS * 1440 // EVERY,
    }
    with psycopg.connect(conninfo(database), autocommit=True) as connection:
        connection.execute(FILL, parameters)
        connection.execute("VACUUM ANALYZE metrics_buckets")
    return key


@contextmanager
def _open_preview(plan: Plan) -> Iterator[list[Contender]]:
    series = plan.pick(full=1_000, quick=200, tiny=20)
    with open_servers(plan, "postgres") as servers:
        servers.prepare_template()
        with servers.fresh_database() as database:
            key = _fill(database, series)
            environment = {
                "DATABASE_URL": database.database_url.get_secret_value(),
                "PG_SSLMODE": "disable",
                "OPENSEARCH_URL": "http://127.0.0.1:9",  # asked by /readyz and searches only
                "KAFKA_BROKERS": "127.0.0.1:9",
            }
            with on_serve("core", "/healthz", environment, plan.folder / "ray") as core:

                def ask(name: str, of: Mapping[str, str]) -> Callable[[], Round]:
                    body = {"rule": DRAFT, "series": of, "until": START}
                    load = Load(
                        bodies=write_bodies(plan.folder / f"bodies-{name}", iter([orjson.dumps(body)])),
                        connections=1,
                        seconds=plan.pick(full=10, quick=3, tiny=1),
                        path="/v1/rules/preview",
                        key=key,
                    )
                    return partial(load.on, core, servers.meters(), plan.folder)

                one = {"environment": "prod", "error_code": "CODE_7", "route": "/r"}
                yield [
                    Contender(name="one series", role="ours", run=ask("one", one)),
                    Contender(name="1,000 series", role="ours", run=ask("all", {})),
                ]


ROWS: Final = (
    Row(
        name="many-rules",
        title="records → counts in memory, beside own rules in every project",
        unit="event",
        method="The same batches in one process, without Kafka and PostgreSQL: read and counted at "
        "300 keys. A hundred rules that select no event, and a hundred of which eight select a third.",
        open=_open_counting,
        targets=(
            Target(
                sentence="100 rules: ≤ 1.1× two", figure="cpu_us", at_most=1.1, of="limit", ours="100 others"
            ),
        ),
    ),
    Row(
        name="preview",
        title="a draft rule → its incidents of the last 14 days",
        unit="preview",
        method="POST /v1/rules/preview over one connection, through HAProxy and Serve: the seasonal rule of "
        "errors over one series, and over a thousand with a million stored minutes.",
        open=_open_preview,
        shown=("p50_ms", "p99_ms", "cpu_us", "postgres_cpu_us"),
        targets=(
            Target(sentence="one series: ≤ 100 ms", figure="p50_ms", at_most=100, ours="one series"),
            Target(sentence="1,000 series: ≤ 2 s", figure="p50_ms", at_most=2_000, ours="1,000 series"),
        ),
    ),
)
