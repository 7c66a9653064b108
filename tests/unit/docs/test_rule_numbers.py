"""The pages state the numbers that the rules have."""

from signals.domain.detection.default_rules import ERROR_SPIKE, SIGNUP_DROP
from tests.unit.docs.markdown import ROOT


def _prose(page: str) -> str:
    return " ".join((ROOT / page).read_text().split())


def test_readme_states_the_numbers_of_both_rules() -> None:
    text = _prose("README.md")
    assert f"at least {ERROR_SPIKE.floor} errors in {ERROR_SPIKE.window} minutes" in text
    assert f"at most {SIGNUP_DROP.ceiling} signups in {SIGNUP_DROP.window} minutes" in text
    assert f"where {SIGNUP_DROP.baseline.minimum:.0f} are usual" in text


def test_rules_page_states_both_conditions() -> None:
    text = _prose("docs/concepts/rules.md")
    spike = f"`count_{ERROR_SPIKE.window}m >= {ERROR_SPIKE.floor}`"
    ratio = f"`count_{ERROR_SPIKE.window}m >= {ERROR_SPIKE.ratio:.0f} * max("
    drop = f"`count_{SIGNUP_DROP.window}m <= {SIGNUP_DROP.ceiling}`"
    assert [part for part in (spike, ratio, drop) if part not in text] == []
    assert f"`baseline_prev_60m >= {SIGNUP_DROP.baseline.minimum:.0f}`" in text
