"""Writes a run, and the model computed from it, as Markdown between the markers of two pages."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

from benchmarks.figures import UNMET, Judgement, Measured
from benchmarks.overview import overview, verdict_sentence
from benchmarks.results import RowResult, Run
from benchmarks.scaling import Costs, Needs, costs_of, needs
from signals.local.files import replace_file

BEGIN: Final = "<!-- written by make bench: begin -->"
END: Final = "<!-- written by make bench: end -->"
ANSWERS_BEGIN: Final = "<!-- written by make bench: answers begin -->"
ANSWERS_END: Final = "<!-- written by make bench: answers end -->"

PLANNED: Final = (
    (40_000, 300),
    (100_000, 3_000),
    (100_000, 100_000),
    (1_000_000, 30_000),
    (1_000_000, 1_000_000),
)
"""(events a second, fingerprints) of the model's columns: strong fan-in and almost none."""

_HEADINGS: Final = {"rate": "{unit}s/s", "cpu_us": "CPU-µs/{unit}"}
_UNITS: Final = {"ms": "ms", "s": "s", "kb": "kB", "mb": "MB", "us": "µs", "percent": "%"}


def update_page(path: Path, run: Run) -> None:
    """Replace what stands between both pairs of markers: the answers, and the run's report.

    Raises:
        ValueError: when the page has no markers.
    """
    _replace_marked(path, answers(run), ANSWERS_BEGIN, ANSWERS_END)
    _replace_marked(path, report(run))


def update_model(path: Path, run: Run) -> bool:
    """Replace what stands between the markers by the model; False when one of its rows is missing.

    Raises:
        ValueError: when the page has no markers.
    """
    costs = costs_of(run.rows)
    if costs is not None:
        _replace_marked(path, model(costs))
    return costs is not None


def model(costs: Costs) -> str:
    """Return the costs, and what each planned rate needs."""
    taken = (
        f"From processor time an event: ingest {costs.ingest_us:.0f} µs, engine {costs.engine_us:.0f} µs, "
        f"indexer {costs.indexer_us:.0f} µs, OpenSearch {costs.opensearch_us:.0f} µs; PostgreSQL "
        f"{costs.bucket_us:.0f} µs for each fingerprint that a batch touches."
    )
    columns = [needs(costs, rate=rate, fingerprints=keys) for rate, keys in PLANNED]
    lines = [["events/s", *(f"{one.rate:,}" for one in columns)]]
    for field in fields(Needs)[1:]:
        name = field.name.replace("_", " ").replace("per s", "/s").replace("per day", "/day")
        lines.append([name, *(_number(float(getattr(one, field.name))) for one in columns)])
    return f"{taken}\n\n{_markdown(lines)}"


def _replace_marked(path: Path, text: str, begin: str = BEGIN, end: str = END) -> None:
    before, found_begin, rest = path.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"{path} has no markers: {begin} … {end}")
    replace_file(path, f"{before}{begin}\n{text}\n{end}{after}", mode=0o644)


def report(run: Run) -> str:
    """Return the whole report: machine, verdicts, and each row's contenders."""
    parts = [_where(run), _verdicts(run.rows), *(_details(row) for row in run.rows)]
    return "\n\n".join(part for part in parts if part)


def verdict_lines(rows: Sequence[RowResult]) -> list[str]:
    """Return one line a target, for the terminal."""
    return [
        f"{row.name}: {_verdict(one)} - {one.sentence}: {_measured_text(one)}"
        for row in rows
        for one in row.judgements
    ] + [f"{row.name}: FAILED - {row.error.splitlines()[-1]}" for row in rows if row.error]


def answers(run: Run) -> str:
    """Return what a reader wants first: five questions and their answers, and how many targets are met."""
    table = _markdown([["question", "answer"], *overview(run.rows)])
    return f"{table}\n\n{verdict_sentence(run.rows)}"


def _where(run: Run) -> str:
    machine = run.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return (
        f"Taken {run.started_at:%Y-%m-%d %H:%M} UTC at commit {run.commit}: {run.rounds} interleaved rounds "
        f"of size `{run.size}` on {machine.cores} cores ({machine.processor}), {machine.memory_gib:.0f} GiB, "
        f"{machine.system}, load {machine.load} at the start. Python {machine.python}, {versions}."
    )


def _verdicts(rows: Sequence[RowResult]) -> str:
    lines = [["row", "target", "measured", "verdict"]]
    for row in rows:
        if row.error:
            lines.append([f"`{row.name}`", "-", row.error.splitlines()[-1], "**failed**"])
        lines += [
            [f"`{row.name}`", one.sentence, _measured_text(one), _verdict(one)] for one in row.judgements
        ]
    return _markdown(lines)


def _verdict(one: Judgement) -> str:
    return f"**{one.verdict}**" if one.verdict in UNMET else one.verdict


def _measured_text(one: Judgement) -> str:
    if one.value is None:
        return "-"
    if one.against:
        return f"{one.value:.2f} x {one.against}"
    return f"{_number(one.value)} {_unit(one.figure)}"


def _details(row: RowResult) -> str:
    head = f"### {row.name}: {row.title}\n\n{row.method}"
    if row.error:
        return f"{head}\n\nFailed after {row.took_s:.0f} s:\n\n```\n{row.error}\n```"
    figures = [name for name in row.shown if any(one.values(name) for one in row.contenders)]
    heading = ["", *(_heading(name, row.unit) for name in figures), "what it does less"]
    lines = [
        [f"{one.name} ({one.role})", *(_cell(one, name) for name in figures), one.note]
        for one in row.contenders
    ]
    return f"{head}\n\n{_markdown([heading, *lines])}"


def _heading(figure: str, unit: str) -> str:
    if figure in _HEADINGS:
        return _HEADINGS[figure].format(unit=unit)
    name, _, suffix = figure.rpartition("_")
    return (
        f"{name.replace('_', ' ')} {_UNITS[suffix]}"
        if suffix in _UNITS and name
        else figure.replace("_", " ")
    )


def _unit(figure: str) -> str:
    return {"rate": "/s", "cpu_us": "CPU-µs"}.get(figure) or _UNITS.get(figure.rpartition("_")[2], "")


def _cell(one: Measured, figure: str) -> str:
    """Return the median and, since one figure hides how far rounds differ, the extremes."""
    values = one.values(figure)
    if not values:
        return "-"
    middle = one.median(figure)
    assert middle is not None
    return f"{_number(middle)} ({_number(min(values))}-{_number(max(values))})"


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else "0"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    texts = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in texts]
    return "\n".join([lines[0], f"|{'---|' * len(texts[0])}", *lines[1:]])
