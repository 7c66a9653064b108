"""The engine's counting and tick for rules that people wrote, fed with totals instead of records."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import uuid4

from psycopg_pool import ConnectionPool

from shared_types import Environment, EventType, Fingerprint, Tenancy
from shared_types.envelope import TEXT_ATTRIBUTES
from signals.clients.postgres import Connection, transaction
from signals.domain.detection.buckets import Series
from signals.domain.detection.rule_types import Rule
from signals.domain.events.sightings import Sighting
from signals.services.detection.own_counting import OwnCounting
from signals.services.detection.own_judging import judge_own
from signals.services.detection.own_tally import OwnSamples, OwnTally
from signals.services.detection.project_rules import RuleBook
from signals.store.detection import buckets, rules
from tests.support.events import TENANCY

Attributes = tuple[tuple[str, str], ...]
"""Attributes of events with their values, `event_type` and `environment` among them."""


class KilledEngine(Exception):  # noqa: N818  # reads as the state it names
    """Stands for a process that dies before its transaction is committed."""


class OwnEngine:
    """One engine of one project, with a partition of its own."""

    def __init__(
        self, pool: ConnectionPool[Connection], number: int = 0, *, tenancy: Tenancy = TENANCY
    ) -> None:
        self._pool = pool
        self._tenancy = tenancy
        self._number = number
        self._book = RuleBook()
        self._counting = OwnCounting()

    def count(self, events: Mapping[tuple[Attributes, int], int], *, is_killed: bool = False) -> None:
        """Count the events of each (attributes, minute) in one transaction."""
        with transaction(self._pool) as connection:
            index = self._book.of(connection, [self._tenancy.project_id])[self._tenancy.project_id].own
            tally = OwnTally()
            shared: dict[tuple[Series, int], int] = defaultdict(int)
            for (attributes, minute), count in events.items():
                sighting = _sighting(self._tenancy, attributes, minute)
                for _ in range(count):
                    for hit in index.hits(sighting.kind, sighting.severity, sighting.status_code):
                        tally.add(hit, sighting, b"", self._number)
                if (series := _counted(self._tenancy, attributes)) is not None and count:
                    shared[series, minute] += count
            if shared:
                buckets.increment(connection, shared)
            self._counting.count(connection, tally)
            if is_killed:
                raise KilledEngine

    def tick(self, minute: int, *, is_killed: bool = False) -> None:
        """Judge the partition's series up to a minute."""
        with transaction(self._pool) as connection:
            judge_own(connection, self._number, minute, self._book, OwnSamples(), new_id=uuid4)
            if is_killed:
                raise KilledEngine


def write_rules(
    pool: ConnectionPool[Connection], written: Sequence[Rule], *, at: int, tenancy: Tenancy = TENANCY
) -> None:
    """Create rules in a project, as if a person had written them at a minute since the epoch."""
    with transaction(pool) as connection:
        for rule in written:
            assert rules.create(connection, tenancy.project_id, rule, created_by="key:1", most=1_000)
        connection.execute(
            "UPDATE pipeline.rule_versions SET created_at = to_timestamp(%s * 60)"
            " WHERE project_id = %s AND name = ANY(%s)",
            [at, tenancy.project_id, [rule.name for rule in written]],
        )


def _counted(tenancy: Tenancy, attributes: Attributes) -> Series | None:
    """Return the series of Rule A or B of such events."""
    values = dict(attributes)
    kind = EventType(values["event_type"])
    if kind not in (EventType.ERROR, EventType.SIGNUP):
        return None
    one = Fingerprint(
        event_type=kind,
        environment=Environment(values["environment"]),
        error_code=values.get("error_code"),
        route=values.get("route"),
    )
    return Series(tenancy.project_id, values["environment"], one.metric_name, one.text, tenancy.org_id)


def _sighting(tenancy: Tenancy, attributes: Attributes, minute: int) -> Sighting:
    get = dict(attributes).get
    texts = (get(name) for name in TEXT_ATTRIBUTES)
    return Sighting(
        project_id=tenancy.project_id,
        series=None,
        key=b"",
        occurred_ms=minute * 60_000,
        minute=minute,
        received_minute=minute,
        kind=(tenancy.org_id, tenancy.project_id, get("environment"), get("event_type"), *texts),
        severity="error",
        status_code=None,
    )
