"""Asks a stack's core-api for the health of its dependencies and consumers: `GET /readyz`."""

from dataclasses import dataclass
from typing import Final

import httpx2
from pydantic import BaseModel, ValidationError

from signals.consumer_kinds import KINDS

TIMEOUT_S: Final = 5.0  # core-api itself waits 2 s for slow servers
ATTEMPTS: Final = 2  # one lost answer is not reported
ENGINE: Final = "incident-engine"
READERS: Final = frozenset(kind.name for kind in KINDS if kind.waits_for == "events")


class _Dependency(BaseModel):
    name: str
    state: str


class _Actor(BaseModel):
    name: str
    state: str
    lag: int | None = None

    @property
    def kind(self) -> str:
        return self.name.rpartition("-")[0]


class _Stage(BaseModel):
    stage: str
    progress: str
    waiting: int
    partitions: tuple[int, ...]


class _Answer(BaseModel):
    dependencies: tuple[_Dependency, ...]
    actors: tuple[_Actor, ...]
    stages: tuple[_Stage, ...] = ()  # earlier releases do not say


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumersReadiness:
    """The readiness that core-api reports; only `error` is set when it did not answer."""

    error: str = ""
    unavailable: tuple[str, ...] = ()  # "kafka is unavailable"
    not_running: tuple[str, ...] = ()  # "indexer-0 is missing"
    standing: tuple[str, ...] = ()  # "indexer in partitions 3, 4 with 152445 records waiting"
    expected: int = 0
    engines: int = 0  # running incident-engines
    idle_kinds: tuple[str, ...] = ()  # kinds without a running consumer
    lag: int | None = None


def ask(stack: str, namespace: str) -> ConsumersReadiness:
    """Ask through the stack's Service; a failure is an answer, not an exception."""
    url = f"http://{stack}-core.{namespace}.svc:8000/readyz"
    error = ""
    for _ in range(ATTEMPTS):
        try:
            answer = httpx2.get(url, timeout=TIMEOUT_S)
        except httpx2.HTTPError as failure:
            error = f"{url} did not answer ({type(failure).__name__})"
            continue
        try:
            return read(_Answer.model_validate_json(answer.content))
        except ValidationError:
            error = f"{url} answered {answer.status_code} without saying what runs"
    return ConsumersReadiness(error=error)


def read(answer: _Answer) -> ConsumersReadiness:
    """Sort the answer into dependencies, consumers and lag."""
    running = [actor for actor in answer.actors if actor.state == "running"]
    kinds = dict.fromkeys(actor.kind for actor in answer.actors)
    return ConsumersReadiness(
        unavailable=tuple(f"{d.name} is {d.state}" for d in answer.dependencies if d.state != "ok"),
        not_running=tuple(f"{a.name} is {a.state}" for a in answer.actors if a.state != "running"),
        standing=tuple(_standing(stage) for stage in answer.stages if stage.progress == "standing"),
        expected=len(answer.actors),
        engines=sum(actor.kind == ENGINE for actor in running),
        idle_kinds=tuple(kind for kind in kinds if kind not in {actor.kind for actor in running}),
        lag=max((lag for kind in kinds if (lag := _lag(answer, kind)) is not None), default=None),
    )


def _standing(one: _Stage) -> str:
    return (
        f"{one.stage} in partitions {', '.join(map(str, one.partitions))} with {one.waiting} records waiting"
    )


def _lag(answer: _Answer, kind: str) -> int | None:
    """Return the lag of one consumer kind in events; jobs do not count."""
    known = [actor.lag for actor in answer.actors if actor.kind == kind and actor.lag is not None]
    return sum(known) if known and kind in READERS else None
