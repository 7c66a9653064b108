"""Onsets and intervals against values that can be computed by hand."""

import pytest

from signals.domain.findings.onset import fall, rise
from signals.domain.findings.statistics import Cells, attributable, wilson


def test_onset_of_a_step_is_its_first_minute() -> None:
    counts = dict.fromkeys(range(0, 70, 10), 1) | dict.fromkeys(range(70, 75), 20)
    onset = rise(counts, 74)
    assert onset.minute == 70
    assert not onset.is_ramp


def test_onset_of_a_ramp_is_its_beginning() -> None:
    onset = rise({minute: 4 * (minute - 66) for minute in range(67, 75)}, 74)
    assert onset.minute in (67, 68)
    assert onset.is_ramp


def test_onset_of_a_drop_is_its_first_low_minute() -> None:
    assert fall(dict.fromkeys(range(62), 6), 74).minute == 62


def test_share_has_its_known_interval() -> None:
    found = wilson(8, 10)
    assert found.value == 0.8
    assert found.low == pytest.approx(0.4902, abs=1e-3)
    assert found.high == pytest.approx(0.9433, abs=1e-3)
    assert wilson(0, 0).high == 1.0


def test_attributable_fraction_equals_its_formula() -> None:
    cells = Cells(failing_in=90, failing_out=10, working_in=10, working_out=90)
    found = attributable(cells)
    assert found.value == pytest.approx(0.9 * (1 - 0.1 / 0.9))
    assert found.low < found.value < found.high


def test_group_that_fails_less_explains_nothing() -> None:
    assert Cells(failing_in=10, failing_out=90, working_in=90, working_out=10).gain < 0
    assert Cells(failing_in=5, failing_out=5, working_in=50, working_out=50).gain == pytest.approx(0)
