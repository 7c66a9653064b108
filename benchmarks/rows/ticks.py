"""Ticks: the engine judges ten thousand series at a whole minute."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final
from uuid import uuid4

from psycopg_pool import ConnectionPool

from benchmarks.cpu import spent
from benchmarks.events import START
from benchmarks.rounds import Contender, Plan, Round, Row, Target
from benchmarks.servers import open_servers
from shared_types import Tenancy
from signals.clients.postgres import Connection, open_pool, transaction
from signals.domain.detection.buckets import Series, minute_of
from signals.domain.detection.rule_text import parse_rule
from signals.domain.detection.season import HOUR
from signals.garbage import collect_less_often
from signals.services.detection.judging import judge_by_clock
from signals.services.detection.project_rules import RuleBook
from signals.store.access.tenancy import insert_org, insert_project
from signals.store.detection import buckets, rule_states
from tests.support.own_rules import OwnEngine, write_rules

MINUTE: Final = minute_of(START)
HOURS: Final = 8  # of history before the first round, so that closing an hour reads stored ones
HISTORY: Final = 75  # minutes of signups before the first round: as many as Rule B reads
SIGNUPS: Final = 4  # a minute and series: a fall would be noticed, and none is there
ORG: Final = "org_bench"
RULE: Final = {
    "name": "busy-routes",
    "kind": "seasonal",
    "on": {"event_type": "error"},
    "per": ["route"],
    "max_series": 10_000,
    "windows": [{"length": 15, "floor": 20, "ratio": 3}],
}
Meters = Mapping[str, Callable[[], float]]


class RuleTicks:
    """The series of a seasonal rule that people wrote, in a project and a partition of their own."""

    def __init__(self, pool: ConnectionPool[Connection], meters: Meters, number: int, series: int) -> None:
        tenancy = Tenancy(ORG, f"proj_{number}")
        with transaction(pool) as connection:
            insert_org(connection, org_id=ORG, name=ORG)
            insert_project(connection, project_id=tenancy.project_id, org_id=ORG, name=tenancy.project_id)
        self._meters, self._series, self._minute = meters, series, MINUTE - HOURS * HOUR
        write_rules(pool, [parse_rule(RULE)], at=self._minute, tenancy=tenancy)
        self._engine = OwnEngine(pool, number, tenancy=tenancy)
        self._count()
        for _ in range(HOURS):
            self._engine.tick(self._minute)
            self._minute += HOUR
            self._count()
        self._engine.tick(self._minute)

    def judge(self, *, after: int, is_new: bool) -> Round:
        """Judge all series so many minutes later, each with a new event or none with one."""
        self._minute += after
        if is_new:
            self._count()
        return _timed(self._series, self._meters, partial(self._engine.tick, self._minute))

    def _count(self) -> None:
        kind = (("event_type", "error"), ("environment", "prod"))
        self._engine.count({((*kind, ("route", f"/{one}")), self._minute): 1 for one in range(self._series)})


class SignupTicks:
    """Signups of as many projects: the clock judges each minute of them in full, since silence matters."""

    def __init__(self, pool: ConnectionPool[Connection], meters: Meters, number: int, series: int) -> None:
        self._pool, self._meters, self._number, self._minute = pool, meters, number, MINUTE
        self._book = RuleBook()
        self._series = [
            Series(f"shop_{one}", "prod", "signup_count", "signup|prod", ORG) for one in range(series)
        ]
        self._count(range(MINUTE - HISTORY, MINUTE + 1))
        with transaction(pool) as connection:
            first, partitions = MINUTE - HISTORY, dict.fromkeys(self._series, number)
            rule_states.insert(connection, dict.fromkeys(self._series, first), partitions, by_clock=True)
        self._tick()

    def judge(self) -> Round:
        """Judge all series one minute later, each with new events."""
        self._minute += 1
        self._count([self._minute])
        return _timed(len(self._series), self._meters, self._tick)

    def _count(self, minutes: Sequence[int]) -> None:
        for minute in minutes:
            with transaction(self._pool) as connection:
                buckets.increment(connection, {(one, minute): SIGNUPS for one in self._series})

    def _tick(self) -> None:
        with transaction(self._pool) as connection:
            judge_by_clock(connection, self._number, self._minute, self._book, new_id=uuid4)


def _timed(series: int, meters: Meters, tick: Callable[[], object]) -> Round:
    with spent(meters) as servers:
        began, cpu_s = time.monotonic(), time.process_time()
        tick()
        wall_s, cpu_s = time.monotonic() - began, time.process_time() - cpu_s
    return Round(events=series, wall_s=wall_s, cpu_s=cpu_s, extra={"tick_s": cpu_s, **servers})


@contextmanager
def _open(plan: Plan) -> Iterator[list[Contender]]:
    series = plan.pick(full=10_000, quick=2_000, tiny=200)
    with ExitStack() as stack:
        servers = stack.enter_context(open_servers(plan, "postgres"))
        servers.prepare_template()
        database = stack.enter_context(servers.fresh_database())
        pool, meters = stack.enter_context(open_pool(database, size=2)), servers.meters()
        rest, new, hour = (RuleTicks(pool, meters, number, series) for number in range(3))
        signups = SignupTicks(pool, meters, 3, series)
        collect_less_often()  # as the engine does
        yield [
            Contender(name="no new event", role="ours", run=partial(rest.judge, after=1, is_new=False)),
            Contender(name="an event each", role="ours", run=partial(new.judge, after=1, is_new=True)),
            Contender(name="an hour closes", role="ours", run=partial(hour.judge, after=HOUR, is_new=True)),
            Contender(name="signups", role="ours", run=signups.judge),
        ]


ROW: Final = Row(
    name="ticks",
    title="a whole minute → 10,000 series judged",
    unit="series",
    method="One tick after the other, each over every series of a partition; `tick_s` is its processor time "
    "in the engine's process, PostgreSQL's stands beside it. Series of a seasonal rule that people wrote: at "
    "rest, with an event each, and with an hour to close. Signups of as many projects, whose every minute "
    "is judged in full. Counting the events is not timed.",
    open=_open,
    shown=("tick_s", "cpu_us", "postgres_cpu_us"),
    targets=tuple(
        Target(sentence=f"{name}: ≤ 1 s of CPU", figure="tick_s", at_most=1.0, ours=name)
        for name in ("an event each", "an hour closes", "signups")
    ),
    limit_s=600.0,
)
