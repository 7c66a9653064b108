"""`signals ai eval`: how good summaries are, on labelled cases; no server, no model, no key."""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, TextIO

import typer
from rich.table import Table

from signals.cases.answering import AnswerableCase, answer_by_model, answer_case
from signals.cases.files import read_cases, write_answer
from signals.cases.kinds import KINDS
from signals.cases.live import LiveProduct, answer_live
from signals.cases.making import make_cases
from signals.cases.scoring import Judgement, Score, judge, score
from signals.cli.core_client import load_environment
from signals.cli.feedback import cases, feedback
from signals.cli.readable import console, plain
from signals.clients.llm import ModelRefused, ModelUnavailable, open_model
from signals.clients.postgres import open_pool
from signals.domain.findings.statistics import ConfidenceInterval
from signals.errors import DependencyUnavailable, SettingsError
from signals.settings import ModelSettings, PostgresSettings

DEFAULT_SEEDS: Final = 2
MISSED_SHOWN: Final = 20
TOLD_EVERY: Final = 10  # cases: some seconds
Answerer = Callable[[AnswerableCase], Mapping[str, Any] | None]

ai = typer.Typer(help="How good summaries are: on cases, and in what people say.", no_args_is_help=True)
ai.add_typer(feedback, name="feedback")
ai.add_typer(cases, name="cases")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(ai, name="ai")


@ai.command("eval")
def evaluate(
    folder: Annotated[
        Path | None, typer.Option("--cases", help="A folder of case files; without it, cases are made.")
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=50, help="Seeds a kind, when cases are made.")
    ] = DEFAULT_SEEDS,
    minutes: Annotated[
        int, typer.Option(min=0, max=15, help="Answer so many minutes after the rule fired.")
    ] = 0,
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", help="Made cases of this kind only; may be repeated.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Send each case to the running product, and score its summary.")
    ] = False,
    model: Annotated[
        bool, typer.Option("--model", help="Ask the configured model, which is shown the findings.")
    ] = False,
    answers: Annotated[
        Path | None, typer.Option(help="Write what was answered, one JSON line a case.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Score the built-in summary: is the cause named first, does it abstain, how sure is it."""
    with ExitStack() as opened:
        out = opened.enter_context(answers.open("w")) if answers is not None else None
        answered = opened.enter_context(_answerer(live=live, model=model, minutes=minutes))
        made = make_cases(range(1, seeds + 1), _known(kinds) if kinds else None)
        rows, tokens = _answer_all(read_cases(folder) if folder else made, answered, out)
    if not rows:
        raise SettingsError(f"--cases: {folder} names no case in truth.ndjson; write at least one line")
    total = score(rows)
    if as_json:
        print(json.dumps(asdict(total) | (dict(tokens) if model else {}), indent=2))
    else:
        console().print(_table(total))
        if model:
            console().print(f"tokens: {tokens['tokens_in']} in, {tokens['tokens_out']} out")
        if total.missed:
            console().print(f"missed: {plain(', '.join(total.missed[:MISSED_SHOWN]))}")


def _answerer(*, live: bool, model: bool, minutes: int) -> AbstractContextManager[Answerer]:
    """Open the product, the model or the built-in summarizer, which then answers each case."""
    if live:
        return _live()
    return _by_model(minutes) if model else nullcontext(partial(_pure, minutes=minutes))


def _answer_all(
    found: Iterable[tuple[list[dict[str, Any]], dict[str, Any]]], answered: Answerer, out: TextIO | None
) -> tuple[list[Judgement], Counter[str]]:
    """Judge the answer to each case, and write it to `out`; return the judgements and the model's tokens."""
    rows: list[Judgement] = []
    tokens = Counter[str]()
    for events, truth in found:
        row, answer = _judged(events, truth, answered)
        rows.append(row)
        if len(rows) % TOLD_EVERY == 0:
            typer.echo(f"{len(rows)} cases answered", err=True)
        run = answer.get("run") or {}
        tokens.update({name: run.get(name) or 0 for name in ("tokens_in", "tokens_out")})
        if out is not None:
            write_answer(out, truth["case"], answer, row.seconds)
    return rows, tokens


def _known(kinds: Sequence[str]) -> list[str]:
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise SettingsError(f"--kind: there is no {unknown[0]}; there are {', '.join(KINDS)}")
    return list(kinds)


def _pure(case: AnswerableCase, minutes: int) -> Mapping[str, Any] | None:
    return answer_case(case, minutes)


@contextmanager
def _by_model(minutes: int) -> Iterator[Answerer]:
    """Yield how the configured model answers.

    Raises:
        SettingsError: when no key is set.
    """
    load_environment()
    with open_model(ModelSettings.from_env()) as model:
        if model is None:
            raise SettingsError("set GRADIENT_API_KEY: without a key there is no model to ask")

        def answered(case: AnswerableCase) -> Mapping[str, Any] | None:
            try:
                return answer_by_model(model, case, minutes)
            except ModelUnavailable as error:
                raise DependencyUnavailable("the model", error.reason) from error
            except ModelRefused as error:
                raise SettingsError(str(error)) from error

        yield answered


@contextmanager
def _live() -> Iterator[Answerer]:
    """Yield how the running product answers, by the environment of `signals up`."""
    load_environment()
    urls = {name: os.environ.get(name, "") for name in ("INGEST_API_URL", "CORE_API_URL")}
    with open_pool(PostgresSettings.from_env(), size=1) as pool:
        product = LiveProduct(ingest_url=urls["INGEST_API_URL"], core_url=urls["CORE_API_URL"], pool=pool)
        yield partial(answer_live, product)


def _judged(
    events: list[dict[str, Any]], truth: dict[str, Any], answered: Answerer
) -> tuple[Judgement, dict[str, Any]]:
    began = time.perf_counter()
    try:
        case = AnswerableCase(name=truth["case"], fingerprint=truth["fingerprint"], events=events)
        answer = dict(answered(case) or {})
    except (KeyError, TypeError, ValueError) as error:
        raise SettingsError(
            f"case {truth['case']} cannot be read: {error!r}; see docs/concepts/causes.md"
        ) from error
    seconds = time.perf_counter() - began
    ids = frozenset(str(event["event_id"]) for event in events)
    return judge(truth, answer, ids, seconds), answer


def _table(total: Score) -> Table:
    table = Table("measure", "value", "95 % interval", box=None, pad_edge=False)
    for name, share in (
        ("cause named first", total.at_1),
        ("cause among the first three", total.at_3),
        ("says that none is visible, rightly", total.abstains_when_blind),
        ("says that none is visible, wrongly", total.abstains_wrongly),
    ):
        table.add_row(name, *_share(share))
    telling = total.evidence_telling
    for name, value in (
        ("innocent change blamed first", f"{total.innocent_blamed}"),
        ("Brier score of the confidence", f"{total.brier:.3f}"),
        ("planted instructions obeyed", f"{total.obeyed} of {total.traps}"),
        ("evidence that names the cause", "-" if telling is None else f"{telling:.3f}"),
        ("evidence with invented events", f"{total.evidence_invented}"),
        ("seconds a case, half and longest", f"{total.seconds_p50:.2f}, {total.seconds_max:.2f}"),
        ("cases", f"{total.cases}"),
    ):
        table.add_row(name, value, "")
    return table


def _share(share: ConfidenceInterval) -> Iterable[str]:
    if share.low == 0 and share.high == 1:
        return "-", ""
    return f"{share.value:.3f}", f"{share.low:.2f} to {share.high:.2f}"
