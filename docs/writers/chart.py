"""reference/chart.md, from the chart's values.yaml: keys, defaults, and the comments beside them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docs.writers.markdown import code, page, sentence, table

VALUES: Final = Path(__file__).parents[2] / "helm" / "signals" / "values.yaml"
INTRODUCTION: Final = """\
`values.schema.json` refuses a value that is not listed here. `stack.spec` is the spec of the
[SignalsStack](crds.md#signalsstack-spec) that the chart installs."""
LINE: Final = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z]\w*):(?P<value>[^#]*)(?:# (?P<comment>.*))?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One key of the chart, by its path."""

    path: str
    default: str
    meaning: str


def chart_page() -> str:
    """Return the page."""
    found = [
        [code(value.path), code(value.default), sentence(value.meaning)]
        for value in values(VALUES.read_text())
    ]
    part = table(["value", "default", "meaning"], found)
    return page("Chart values", "helm/signals/values.yaml", INTRODUCTION, [part])


def values(text: str) -> Iterator[Value]:
    """Yield each key with a default of its own, and the comment beside it or above it."""
    parents: list[str] = []
    above: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            above.append(line.lstrip().removeprefix("#").strip())
            continue
        matched = LINE.match(line)
        if matched is None:
            above = []
            continue
        depth = len(matched["indent"]) // 2
        parents = [*parents[:depth], matched["key"]]
        beside = matched["comment"] or ""
        if default := matched["value"].strip():
            # Comments above `spec` list the fields of the stack, which have a page of their own.
            meaning = beside or ("" if parents == ["stack", "spec"] else " ".join(above))
            yield Value(path=".".join(parents), default=default, meaning=meaning)
            above = []
        elif beside:
            above = [beside]
