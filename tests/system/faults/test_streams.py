"""Unusual streams: added partitions, repeated ids, wrong clocks. Counts stay exact.

Events go to Kafka as ingest-api would write them; consumers are plain processes.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.publisher import open_publisher
from tests.support.waiting import until
from tests.system.faults.consumer_set import consumer_set, environment_of
from tests.system.faults.senders import Answer, KafkaSender, Sender
from tests.system.faults.server_contents import Servers, log_ends
from tests.system.faults.table import FaultRow
from tests.system.faults.traffic import TrialEvent, trial_event
from tests.system.faults.trial import Stage, Trial, trial

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

Rows = Callable[[str], FaultRow]
CODES = [f"CODE_{number}" for number in range(24)]
RETRIES = 4_000
"""So many on a slow machine too: those of the traffic itself come by time."""
GROWN = 9
"""Partitions after the growth, from three: two of three keys move."""


@dataclass(slots=True)
class Repeating:
    """Hands every batch over, and most of it again: at once, one by one, and from threads of its own."""

    inner: Sender
    chance: Random
    repeated: int = 0

    def send(self, events: Sequence[TrialEvent]) -> Answer:
        """Send a batch, then repeat most of it."""
        answer = self.inner.send(events)
        match self.chance.choice(("once", "batch", "singles", "concurrently")):
            case "batch":
                self._again(events)
            case "singles":
                for event in events:
                    self._again([event])
            case "concurrently":
                threads = [threading.Thread(target=self._again, args=(events,)) for _ in range(3)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
        return answer

    def _again(self, events: Sequence[TrialEvent]) -> None:
        self.inner.send(events)
        self.repeated += len(events)


@contextmanager
def consumers(servers: Servers, name: str = "only") -> Iterator[None]:
    """Run an incident engine and an indexer."""
    with consumer_set(environment_of(servers), name=name, kinds=("incident-engine", "indexer")):
        yield


@contextmanager
def own_sender(servers: Servers, running: Trial) -> Iterator[KafkaSender]:
    """Open a second producer that asks for the topic's partitions anew, as a new replica would."""
    first = running.stage.project(running.project_id)
    assert isinstance(first, KafkaSender)
    with open_publisher(servers.kafka) as publisher:
        yield KafkaSender(publisher=publisher, tenancy=first.tenancy)


def deliver(running: Trial, sender: Sender, events: Sequence[TrialEvent]) -> None:
    """Send events of the trial through another sender, and record them."""
    running.sent.note(events)
    answer = sender.send(events)
    assert len(answer.acknowledged) == len({event.event_id for event in events})
    running.sent.acknowledge(answer.acknowledged)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_added_partitions_are_read_and_nothing_counts_twice(
    pipeline_stage: Stage, fault_row: Rows, protocol: str
) -> None:
    servers = replace(
        pipeline_stage.servers,
        kafka=pipeline_stage.servers.kafka.model_copy(update={"kafka_group_protocol": protocol}),
    )
    stage = replace(pipeline_stage, servers=servers)
    row = fault_row("partition count grows in mid-run")
    with consumers(servers), trial(stage, row, seed=31) as running:
        before = running.traffic.burst(240, CODES)
        deliver(running, stage.project(running.project_id), before)
        running.recovered()
        grow(servers)
        running.injected()
        with own_sender(servers, running) as sender:
            deliver(running, sender, before)  # retries, two of three on another partition now
            deliver(running, sender, running.traffic.burst(240, CODES))
            deliver(running, stage.project(running.project_id), before)  # a replica that knows only three
            assert any(number >= 3 and end for number, end in log_ends(servers.kafka).items())
            running.recovered()


def grow(servers: Servers) -> None:
    """Give the events' topic more partitions."""
    admin = AdminClient({"bootstrap.servers": servers.kafka.kafka_brokers})
    for done in admin.create_partitions([NewPartitions(RAW_TOPIC, GROWN)]).values():
        done.result(timeout=20)
    until(lambda: len(admin.list_topics(RAW_TOPIC, timeout=10).topics[RAW_TOPIC].partitions) == GROWN)


@pytest.mark.faults_quick
def test_repeated_event_counts_once(pipeline_stage: Stage, fault_row: Rows) -> None:
    chance = Random(32)
    senders: list[Repeating] = []

    def project(project_id: str) -> Sender:
        senders.append(Repeating(pipeline_stage.project(project_id), chance))
        return senders[-1]

    stage = replace(pipeline_stage, project=project)
    row = fault_row("client retries of the same event_id")
    with trial(stage, row, seed=32) as running:
        with consumers(stage.servers, "first"):
            running.recovered()
            early = list(running.sent.known.values())
            minute = datetime.now(UTC).minute
            until(lambda: datetime.now(UTC).minute != minute, within_s=61)
            while row.injected < RETRIES:
                deliver(running, pipeline_stage.project(running.project_id), early)
                running.injected(len(early))
            running.recovered()
        deliver(running, pipeline_stage.project(running.project_id), early)  # no consumer reads meanwhile
        with consumers(stage.servers, "second"):
            deliver(running, pipeline_stage.project(running.project_id), early)
            running.injected(2 * len(early))
            running.recovered()
            running.recorder.stop()
            running.injected(sum(sender.repeated for sender in senders))
            until(lambda: running.judge_now().is_clean, within_s=150, every_s=1)
    assert row.injected > RETRIES


def strange_times(chance: Random) -> list[TrialEvent]:
    """Make shuffled events of wrong clocks: hours off, last year, the last minutes."""
    now = datetime.now(UTC)
    last_year = datetime(2025, 12, 27, 10, 0, tzinfo=UTC)
    starts = [now - timedelta(hours=7), now - timedelta(hours=2), last_year, now - timedelta(minutes=4)]
    times = [
        start + timedelta(seconds=second * 3) for start in starts for second in range(60)
    ]  # a spike each, three minutes long
    times += [now + timedelta(minutes=9, seconds=second / 10) for second in range(40)]  # early, yet allowed
    times += [times[0].astimezone(tz).replace(microsecond=0) for tz in _zones()]
    chance.shuffle(times)
    kinds = ("error", "error", "error", "signup", "http_request")
    return [
        trial_event(chance.choice(kinds), UUID(int=chance.getrandbits(128), version=4), at, code=CODES[0])
        for at in times
    ]


def _zones() -> list[Any]:
    return [timezone(timedelta(hours=hours)) for hours in (-12, -3, 5, 14)]


@pytest.mark.faults_quick
def test_events_of_wrong_clocks_count_in_their_own_minutes(pipeline_stage: Stage, fault_row: Rows) -> None:
    chance = Random(1033)  # not the traffic's own seed: ids would repeat
    row = fault_row("late, early, shuffled events; clocks off by hours; 2025")
    with consumers(pipeline_stage.servers), trial(pipeline_stage, row, seed=33) as running:
        sender = pipeline_stage.project(running.project_id)
        events = [event for _ in range(3) for event in strange_times(chance)]
        chance.shuffle(events)
        while events:
            piece, events = events[:70], events[70:]
            deliver(running, sender, piece)
            running.injected(len(piece))
        running.recovered()
        with running.stage.servers.database() as connection:
            query = (
                "SELECT count(*), count(DISTINCT fingerprint) FROM incidents WHERE project_id = %s"
                " AND status <> 'resolved' AND fingerprint LIKE %s"
            )
            found = connection.execute(query, (running.project_id, f"{CODES[0]}|%")).fetchone()
        assert found == (1, 1)
