"""Our scoring equals the corpus's own scorer, whose text lies beside this file."""

import random
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmarks.detection.corpus import GIVEN, LabelledSeries, counts_of, load
from benchmarks.detection.figures import fallen, kept_figures, measure_subset
from benchmarks.detection.scoring import Opened, Score, Shown, by_kind, judge, score_storms, total

REFERENCE = Path(__file__).parent / "reference_score.txt"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """Load the scorer that came with the corpus."""
    loader = SourceFileLoader("reference_score", str(REFERENCE))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def _random_incidents(rng: random.Random, series: list[LabelledSeries]) -> list[Opened]:
    incidents = []
    for one in series:
        for _ in range(rng.randrange(12)):
            near = rng.choice(one.outages)
            at = rng.choice(
                (
                    rng.randrange(one.minutes),
                    near.start + rng.randrange(-20, 40),
                    near.end + rng.randrange(20),
                )
            )
            opened = one.start_minute + max(0, at)
            incidents.append(Opened(one.series, opened, rng.choice((None, opened + rng.randrange(60, 900)))))
    return incidents


def _as_reference_says(score: Score) -> dict[str, Any]:
    return {
        "outages": score.outages,
        "found": score.found,
        "false": score.false,
        "recall": round(score.recall, 3),
        "precision": round(score.precision, 3),
        "f1": round(score.f1, 3),
        "false_per_week": round(score.false_per_week, 3),
        "ttd_p50": score.detected_p50,
        "ttd_p90": score.detected_p90,
        "open_after_p50": score.open_after_p50,
        "open_after_p90": score.open_after_p90,
        "incidents_per_found": round(score.incidents_per_found, 2),
    }


@pytest.mark.parametrize("seed", range(8))
def test_scores_equal_those_of_the_reference(reference: ModuleType, seed: int) -> None:
    rng = random.Random(seed)
    parts = ("errors", "semireal-errors", "signups", "nab")
    series = load(GIVEN, parts)
    incidents = _random_incidents(rng, series)
    since, until = rng.choice(((0, None), (14, None), (0, 14), (7, 20)))
    judged = [judge(one, [i for i in incidents if i.series == one.series], since, until) for one in series]
    plain = [one for one in reference.load(GIVEN) if one["part"] in parts]
    tuples = [(i.series, i.opened_at, i.resolved_at) for i in incidents]
    theirs = reference.report(plain, tuples, since, until)
    for part in parts:
        ours = total(found for one, found in zip(series, judged, strict=True) if one.part == part)
        assert _as_reference_says(ours) == theirs[part]
    kinds = by_kind(found for one, found in zip(series, judged, strict=True) if one.part == "errors")
    for kind, (found, all_) in kinds.items():
        assert theirs["kinds"][f"errors/{kind}"] == f"{found}/{all_}"


@pytest.mark.parametrize("seed", range(4))
def test_storm_scores_equal_those_of_the_reference(reference: ModuleType, seed: int) -> None:
    rng = random.Random(seed)
    series = load(GIVEN, ("storm",))
    shown = []
    for _ in range(60):
        project = rng.choice(("s1-storm", "s2-storm"))
        mine = [one for one in series if one.project == project]
        at = rng.choice(mine[0].outages).start + rng.randrange(-5, 30)
        members = tuple((one.series, one.start_minute + at) for one in rng.sample(mine, rng.randrange(1, 8)))
        shown.append(Shown(project, members))
    alerts = [(one.project, list(one.members), one.members[0][1]) for one in shown]
    theirs = reference.groups(reference.load(GIVEN), alerts)
    ours = score_storms(series, shown)
    assert (ours.storms, ours.covered, ours.exactly_one) == (
        theirs["storms"],
        theirs["covered"],
        theirs["exactly_one"],
    )
    assert (ours.mixed, ours.false, ours.worst) == (
        theirs["mixed_incidents"],
        theirs["false_incidents"],
        theirs["worst"],
    )


def test_corpus_is_whole_and_small() -> None:
    series = load(GIVEN, ("errors", "signups", "semireal-errors", "semireal-signups", "nab", "storm"))
    assert len(series) == 70
    assert all(counts_of(GIVEN, one) for one in series[:3])
    assert sum(path.stat().st_size for path in GIVEN.iterdir()) <= 2 * 1024 * 1024


def test_fallen_figure_is_named() -> None:
    kept = {"errors, F1": 0.9, "signups, F1": 0.8, "storms": 1.0}
    assert fallen(kept, {"errors, F1": 0.87, "signups, F1": 0.79}) == [
        "errors, F1: 0.870, was 0.900",
        "storms: 0.000, was 1.000",
    ]


def test_figures_of_the_subset_have_not_fallen() -> None:
    assert fallen(kept_figures().subset, measure_subset()) == []
