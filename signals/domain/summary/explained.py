"""The built-in summary of an incident with findings: the same six keys, led by its causes.

Findings become exhibits F..., so that every number in the answer can be checked as any other is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

from signals.domain.findings.causes import Findings
from signals.domain.findings.labels import PEOPLE
from signals.domain.summary.answer import MAX_TEXT_CHARS, SummaryAnswer, tidy
from signals.domain.summary.brief import Brief
from signals.domain.summary.builtin import impact_of, title_of
from signals.domain.summary.causes import cleared_sentence, nothing_sentence, sentence_of
from signals.domain.summary.checking import Grounds
from signals.domain.summary.exhibits import Exhibit, cause_key
from signals.domain.summary.steps import steps_of
from signals.domain.summary.wording import clock, percent


def with_findings(shown: Mapping[str, Exhibit], findings: Findings) -> dict[str, Exhibit]:
    """Add one figure for each cause, each cleared change, and the reach, after the figures there are."""
    texts = [*causes_of(findings), *(f"Reach: {line}" for line in reach_of(findings))]
    keys = [cause_key(place) for place, _ in enumerate(findings.causes, start=1)]
    return with_figures(shown, texts, keys)


def with_figures(
    shown: Mapping[str, Exhibit], texts: Iterable[str], keys: Sequence[str] = ()
) -> dict[str, Exhibit]:
    """Add one figure for each text, after the figures there are; `keys` are those of the first ones."""
    first = 1 + sum(exhibit.event_id is None for exhibit in shown.values())
    added = [
        Exhibit(ref=f"F{number}", text=tidy(text, MAX_TEXT_CHARS), key=key)
        for number, (text, key) in enumerate(zip_longest(texts, keys, fillvalue=""), start=first)
    ]
    figures = [exhibit for exhibit in shown.values() if exhibit.event_id is None]
    events = [exhibit for exhibit in shown.values() if exhibit.event_id is not None]
    return {exhibit.ref: exhibit for exhibit in [*figures, *added, *events]}


def grounds_of(shown: Mapping[str, Exhibit], findings: Findings) -> Grounds:
    """Return the exhibits of the causes, which a model's first cause must cite one of.

    `shown` is the result of `with_findings`.
    """
    said = [tidy(text, MAX_TEXT_CHARS) for text in causes_of(findings)][: max(1, len(findings.causes))]
    causes = {exhibit.ref: exhibit.text for exhibit in shown.values() if exhibit.text in said}
    return Grounds(causes=causes, confidence=findings.confidence)


def answer_from_findings(
    brief: Brief, shown: Mapping[str, Exhibit], findings: Findings, notes: Sequence[str] = ()
) -> SummaryAnswer:
    """Summarize the brief, causes first; `shown` is the result of `with_findings`.

    `notes` say in sentences what could not be compared.
    """
    return SummaryAnswer(
        title=title_of(brief),
        impact=" ".join([impact_of(brief), *reach_of(findings), *notes]),
        likely_causes=tuple(causes_of(findings)),
        evidence=tuple(_evidence(shown, findings)),
        next_steps=tuple(steps_of(findings)),
        confidence=findings.confidence,
    )


def causes_of(findings: Findings) -> Iterator[str]:
    """Say the causes, best first, or that none is visible; then what was cleared."""
    for cause in findings.causes:
        yield sentence_of(cause, findings.comparison)
    if not findings.causes:
        yield nothing_sentence(findings)
    for item in findings.cleared:
        yield cleared_sentence(item)


def reach_of(findings: Findings) -> Iterator[str]:
    """Say how many requests and people are affected, with the denominator."""
    comparison = findings.comparison
    if comparison.is_drop:
        return
    failed, worked = comparison.failing.total, comparison.working.total
    if worked:
        yield (
            f"Since {clock(comparison.onset.minute)}, {failed} of {failed + worked} requests failed "
            f"({percent(failed / (failed + worked))})."
        )
    people = next((name for name in PEOPLE if comparison.distinct.get(name)), None)
    regions = comparison.distinct.get("region", 0)
    where = f" in {regions} region{'s' if regions > 1 else ''}" if regions else ""
    if people is not None:
        yield f"About {comparison.distinct[people]} different {people}{where} are affected."
    elif where:
        yield f"Failures occur{where}."


def _evidence(shown: Mapping[str, Exhibit], findings: Findings) -> Iterator[str]:
    """Cite the figures of the causes, then one event that carries the first cause's label."""
    cited = {tidy(text, MAX_TEXT_CHARS) for text in causes_of(findings)}
    for exhibit in shown.values():
        if exhibit.text in cited:
            yield f"[{exhibit.ref}] {exhibit.text}"
    segment = findings.causes[0].segment if findings.causes else None
    wanted = segment.labels[0] if segment else ""
    events = [exhibit for exhibit in shown.values() if exhibit.event_id is not None]
    example = next((event for event in events if wanted and wanted in event.text), next(iter(events), None))
    if example is not None:
        yield f"[{example.ref}] {example.text}"
