"""Rows with given figures, for tests of the runner."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from benchmarks.rounds import Contender, Plan, Role, Round, Row, Target


def contender(
    name: str, role: Role, rates: Sequence[float], *, on_run: Callable[[str], None] = lambda _: None
) -> Contender:
    """Return a contender whose rounds have these rates."""
    left = list(rates)

    def run() -> Round:
        on_run(name)
        return Round(events=100, wall_s=100 / left.pop(0), cpu_s=0.001, extra={"p99_ms": 5.0})

    return Contender(name=name, role=role, run=run)


def row(
    contenders: Sequence[Contender], *, targets: tuple[Target, ...] = (), guards: tuple[Target, ...] = ()
) -> Row:
    """Return a row of these contenders."""

    @contextmanager
    def opened(_: Plan) -> Iterator[Sequence[Contender]]:
        yield contenders

    return Row(
        name="example",
        title="a hop",
        unit="event",
        method="Given.",
        open=opened,
        targets=targets,
        guards=guards,
        shown=("rate", "cpu_us", "p99_ms", "absent_ms"),
    )
