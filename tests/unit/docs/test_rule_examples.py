"""The rules in the documentation are taken by the validator, and there is one of each kind."""

import re
from typing import Any, Final

import pytest
import yaml

from signals.domain.detection.rule_kinds import RULE_KINDS
from signals.domain.detection.rule_text import parse_rules
from signals.services.detection.rule_registry import drafted
from tests.unit.docs.markdown import DOCS, section

WRITE_RULES: Final = (DOCS / "how-to" / "write-rules.md").read_text()
HEREDOC: Final = re.compile(r"<<'RULE'\n(.*?)^RULE$", re.DOTALL | re.MULTILINE)
YAML: Final = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
ONE_OF_EACH: Final[list[dict[str, Any]]] = [
    yaml.safe_load(text) for text in YAML.findall(section(WRITE_RULES, "One rule of each kind"))
]


def _with_on(given: dict[Any, Any]) -> dict[str, Any]:
    """Return the rule as the command sends it: YAML 1.1 reads the word `on` as true."""
    return {"on" if key is True else key: value for key, value in given.items()}


@pytest.mark.parametrize("given", ONE_OF_EACH, ids=lambda one: str(one["name"]))
def test_example_of_a_kind_is_taken_by_the_validator(given: dict[str, Any]) -> None:
    assert drafted(_with_on(given)).name == given["name"]


def test_page_has_an_example_of_every_kind_and_both_directions() -> None:
    shown = {(one["kind"], one.get("direction", "")) for one in ONE_OF_EACH}
    assert {kind for kind, _ in shown} == {one.kind for one in RULE_KINDS}
    assert {("seasonal", "up"), ("seasonal", "down")} <= shown


def test_rules_within_commands_are_taken_by_the_validator() -> None:
    texts = HEREDOC.findall(WRITE_RULES)
    assert len(texts) >= 3
    for text in texts:
        drafted(_with_on(yaml.safe_load(text)))


def test_rules_file_of_the_replay_is_taken_by_the_validator() -> None:
    [text] = YAML.findall(
        section((DOCS / "concepts" / "detection.md").read_text(), "Try it on your own history")
    )
    assert len(parse_rules(yaml.safe_load(text))) == 2
