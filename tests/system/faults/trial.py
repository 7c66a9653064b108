"""One trial: a new project, traffic, the test's faults, and the verdict."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal
from uuid import UUID

from opensearchpy.exceptions import ConnectionError as TransportConnectionError
from opensearchpy.exceptions import TransportError

from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import open_client
from tests.support.waiting import patience, until
from tests.system.faults.recorder import Recorder
from tests.system.faults.senders import Sender
from tests.system.faults.server_contents import Servers, log_ends, observe
from tests.system.faults.table import FaultRow
from tests.system.faults.traffic import ENVIRONMENT, ROUTE, Sent, Traffic
from tests.system.faults.verdict import Verdict, judge
from tests.system.faults.watch import Processes, Watch, doubled_incidents

EVENTS_PER_S: Final = 40.0
RECOVER_WITHIN_S: Final = 150.0  # about ten times what it takes on a quiet machine
SETTLE_WITHIN_S: Final = 150.0
PROBE_CODES: Final = 12  # spread over most of six partitions
SPIKE: Final = 35  # errors at once that open an incident

Goal = Literal["counted", "summarized"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where trials take place. `project` makes a new project and the way to send its events."""

    servers: Servers
    project: Callable[[str], Sender]
    processes: Processes = field(default=dict)
    summarizes: bool = True
    """Whether AI jobs are worked on; else they are left out of the verdict."""


@dataclass(slots=True, kw_only=True)
class Trial:
    """A trial under way, as its test sees it."""

    stage: Stage
    row: FaultRow
    project_id: str
    recorder: Recorder
    traffic: Traffic
    watch: Watch
    since: Mapping[int, int]
    _hurt_at: float = field(default_factory=time.monotonic)
    _probes: int = 0

    @property
    def sent(self) -> Sent:
        """The traffic sent so far."""
        return self.recorder.sent

    def injected(self, times: int = 1) -> None:
        """Count an injection; recovery is timed from here."""
        self.row.injected += times
        self._hurt_at = time.monotonic()

    def healed(self) -> None:
        """Mark the end of a lasting fault: recovery is timed from here."""
        self._hurt_at = time.monotonic()

    def recovered(self, goal: Goal = "counted", *, within_s: float = RECOVER_WITHIN_S) -> float:
        """Wait until new events are acknowledged, indexed and counted (and summarized); note how long.

        The figure begins at the last injection (or `healed`) and holds the product's ordinary delay.
        """
        self._probes += 1
        codes = [f"PROBE_{self._probes}_{n}" for n in range(PROBE_CODES)]
        if goal == "summarized":
            codes = codes[:1]
        events = self.traffic.burst(PROBE_CODES if goal == "counted" else SPIKE, codes)
        assert self.recorder.deliver(events, within_s=within_s), "the probe was not acknowledged"
        ids = [event.event_id for event in events]
        names = [f"{code}|{ROUTE}|{ENVIRONMENT}" for code in codes]
        until(lambda: self._are_indexed(ids), within_s=within_s, every_s=0.1)
        until(lambda: self._counted(names) >= len(events), within_s=within_s, every_s=0.1)
        if goal == "summarized":
            until(lambda: self._is_summarized(names[0]), within_s=within_s, every_s=0.1)
        seconds = time.monotonic() - self._hurt_at
        self.row.recoveries_s.append(seconds)
        return seconds

    def judge_now(self) -> Verdict:
        """Return the verdict on the present state."""
        seen = observe(self.stage.servers, self.project_id, self.since, with_jobs=self.stage.summarizes)
        with self.stage.servers.database() as connection:
            doubled = self.watch.doubled | doubled_incidents(connection, self.project_id)
        return judge(self.sent, seen, doubled_incidents=sorted(doubled))

    def _are_indexed(self, ids: list[UUID]) -> bool:
        body = {"ids": [str(event_id) for event_id in ids]}
        with open_client(self.stage.servers.opensearch) as client:
            try:
                answer = client.mget(index=EVENTS_INDEX, body=body, params={"_source": "false"})
            except TransportConnectionError:
                return False
        return all(document.get("found") for document in answer["docs"])  # an error while shards open

    def _counted(self, names: list[str]) -> int:
        query = "SELECT sum(value) FROM metrics_buckets WHERE project_id = %s AND fingerprint = ANY(%s)"
        with self.stage.servers.database() as connection:
            row = connection.execute(query, (self.project_id, names)).fetchone()
        return int(row[0] or 0) if row else 0

    def _is_summarized(self, name: str) -> bool:
        query = (
            "SELECT 1 FROM ai_outputs o JOIN incidents i ON i.id = o.incident_id"
            " WHERE project_id = %s AND fingerprint = %s"
        )
        with self.stage.servers.database() as connection:
            return connection.execute(query, (self.project_id, name)).fetchone() is not None


@contextmanager
def trial(stage: Stage, row: FaultRow, *, seed: int, events_per_s: float = EVENTS_PER_S) -> Iterator[Trial]:
    """Send traffic to a new project while the block runs, then wait until it settles and judge.

    Raises:
        AssertionError: with every finding, when something was lost or doubled, or does not settle.
    """
    project_id = f"trial-{seed}-{time.monotonic_ns() % 10**9}"
    # One id in two projects is a fault of its own kind: trials never share ids.
    traffic = Traffic(f"{seed} {row.fault} {row.injected}")
    recorder = Recorder(stage.project(project_id), traffic, events_per_s=events_per_s)
    watch = Watch(stage.servers, project_id, stage.processes)
    running = Trial(
        stage=stage,
        row=row,
        project_id=project_id,
        recorder=recorder,
        traffic=traffic,
        watch=watch,
        since=log_ends(stage.servers.kafka),
    )
    watch.start()
    recorder.start()
    try:
        until(lambda: recorder.sent.acknowledged, within_s=RECOVER_WITHIN_S)
        yield running
    finally:
        recorder.stop()
        verdict = _settled(running)
        watch.stop()
        row.judged(acknowledged=len(recorder.sent.acknowledged), lost=verdict.lost, double=verdict.double)
        if watch.peak_mb:
            row.used_memory(watch.peak_total_mb)
    assert verdict.is_clean, "\n".join(verdict.sentences)


def _settled(running: Trial) -> Verdict:
    """Return the verdict once it is clean, or what it is at the deadline.

    Raises:
        TransportError: OpenSearch still cannot be read then.
    """
    deadline = time.monotonic() + SETTLE_WITHIN_S * patience()
    while True:
        try:
            if (verdict := running.judge_now()).is_clean or time.monotonic() > deadline:
                return verdict
        except TransportError:  # it has started again, and opens its shards
            if time.monotonic() > deadline:
                raise
        time.sleep(1.0)
