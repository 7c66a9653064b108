"""Whether a trial lost or doubled anything: a pure judgement over what was sent and what was found.

The log is the middle term. Acknowledged events must be in it; what is in it must be in the index once
and in the buckets once. So an event whose client never got an answer may be there or not, but not half.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from tests.system.faults.traffic import Sent, Series, series_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """The AI jobs of a trial's incidents. Finished ones are due one output each, of a known id."""

    live: frozenset[UUID] = frozenset()
    expected_outputs: frozenset[UUID] = frozenset()
    outputs: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The data of one project in all servers. Ids repeat as often as they were found."""

    logged: Sequence[UUID]
    indexed: Sequence[UUID]
    """The `event_id` of every document in any index."""
    buckets: Mapping[Series, int]
    jobs: Jobs
    accounted: Mapping[str, Mapping[str, int]]
    """By consuming stage and outcome, how many records the product's own ledger says it handled."""
    uncounted_records: int
    """Records behind the engine's offsets: while there are any, nothing is final."""


@dataclass(slots=True)
class Verdict:
    """The findings; numbers count events (or outputs, or incidents), sentences explain them."""

    lost: int = 0
    double: int = 0
    unsettled: int = 0
    sentences: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found and nothing is under way."""
        return not (self.lost or self.double or self.unsettled or self.sentences)

    def add_lost(self, count: int, sentence: str) -> None:
        """Count something that should be there and is not."""
        if count:
            self.lost += count
            self.sentences.append(f"{count} lost: {sentence}")

    def add_double(self, count: int, sentence: str) -> None:
        """Count something that is there too often."""
        if count:
            self.double += count
            self.sentences.append(f"{count} double: {sentence}")


def judge(sent: Sent, seen: Observation, *, doubled_incidents: Sequence[str] = ()) -> Verdict:
    """Compare what was acknowledged with what was found.

    `doubled_incidents` were open beside another at some moment.
    """
    verdict = Verdict(unsettled=seen.uncounted_records + len(seen.jobs.live))
    if verdict.unsettled:
        verdict.sentences.append(
            f"under way: {seen.uncounted_records} records, {len(seen.jobs.live)} AI jobs"
        )
    logged = set(seen.logged)
    verdict.add_double(len(logged - sent.known.keys()), "records of this project that the trial did not send")
    _judge_index(verdict, sent, logged, Counter(seen.indexed))
    _judge_buckets(verdict, sent, logged, seen.buckets)
    outputs = Counter(seen.jobs.outputs)
    verdict.add_lost(len(seen.jobs.expected_outputs - outputs.keys()), "finished jobs without their output")
    verdict.add_double(
        sum((outputs - Counter(seen.jobs.expected_outputs)).values()), "outputs beyond one a finished job"
    )
    verdict.add_double(len(doubled_incidents), f"incidents open beside another: {doubled_incidents[:3]}")
    verdict.sentences += [f"refused a valid event: {reason}" for reason in sent.refusals[:3]]
    for stage, outcomes in seen.accounted.items():
        if sum(outcomes.values()) != len(seen.logged) or "dead_lettered" in outcomes:
            counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
            verdict.sentences.append(
                f"the ledger of {stage}: {counts}; {len(seen.logged)} records in the log"
            )
    return verdict


def _judge_index(verdict: Verdict, sent: Sent, logged: set[UUID], indexed: Counter[UUID]) -> None:
    verdict.add_lost(len(sent.acknowledged - logged), "acknowledged but not in the log")
    missing = (logged | sent.acknowledged) - indexed.keys()
    verdict.add_lost(len(missing), f"not in the index, like {next(iter(missing), None)}")
    again = {event_id: count - 1 for event_id, count in indexed.items() if count > 1}
    verdict.add_double(sum(again.values()), f"more than one document, like {next(iter(again), None)}")
    verdict.add_double(len(indexed.keys() - logged), "documents that are not in the log")


def _judge_buckets(verdict: Verdict, sent: Sent, logged: set[UUID], buckets: Mapping[Series, int]) -> None:
    due = Counter(series_counts(sent, (logged | sent.acknowledged) & sent.known.keys()))
    for series in sorted(due.keys() | buckets.keys()):
        counted = buckets.get(series, 0)
        difference = counted - due[series]
        place = f"{series.fingerprint} at {series.minute:%H:%M}: {due[series]} due, {counted} counted"
        verdict.add_lost(max(0, -difference), place)
        verdict.add_double(max(0, difference), place)
