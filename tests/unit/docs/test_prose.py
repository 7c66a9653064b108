"""Documentation, docstrings and test names keep the rules of docs/prose.toml."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from tests.unit.docs.markdown import ROOT

RULES: Final[dict[str, Any]] = tomllib.loads((ROOT / "docs/prose.toml").read_text())
PACKAGES: Final = (
    "shared_types",
    "signals",
    "serve_apps",
    "actors",
    "producers",
    "k8s",
    "benchmarks",
    "tests",
)
GENERATED: Final = ("docs/reference", "docs/operations/licences.md", "docs/operations/performance.md")
NOT_PROSE: Final = re.compile(
    r"```.*?```|<[^>]+>|^\s*[|#>!].*$|^---.*?^---|`[^`]*`|\[([^\]]*)\]\([^)]*\)", re.DOTALL | re.MULTILINE
)
SENTENCE_END: Final = re.compile(r"(?<=[.!?:])\s+|\n\s*\n|\n\s*(?:[-*]|\d+[.)])\s")


def _python_files() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def _pages() -> list[Path]:
    pages = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in pages if not page.relative_to(ROOT).as_posix().startswith(GENERATED)]


@cache
def _definitions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]


@cache
def _docstrings() -> list[tuple[str, str]]:
    return [
        (f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}", text)
        for path in _python_files()
        for node in _definitions(path)
        if (text := ast.get_docstring(node))
    ]


def sentences(page: str) -> list[str]:
    """Split a page's prose into sentences; code, tables, headings and addresses are left out."""
    prose = NOT_PROSE.sub(lambda match: match.group(1) or "x", page)
    return [" ".join(part.split()) for part in SENTENCE_END.split(prose) if part.split()]


@pytest.mark.parametrize("words", RULES["words"])
def test_prose_uses_the_terms_of_the_field(words: str) -> None:
    pattern = re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    found = [place for place, text in _docstrings() if pattern.search(text)]
    found += [
        str(page.relative_to(ROOT))
        for page in _pages()
        if pattern.search(NOT_PROSE.sub(" ", page.read_text()))
    ]
    assert found == [], f"instead: {RULES['words'][words]}"


def test_docstrings_begin_with_their_subject() -> None:
    opening = re.compile(rf"(?:{RULES['openings']['docstring']})\b", re.IGNORECASE)
    assert [f"{place} {text[:60]}" for place, text in _docstrings() if opening.match(text)] == []


def test_test_names_begin_with_their_subject() -> None:
    opening = re.compile(rf"test_(?:{RULES['openings']['test_name']})_")
    names = (
        f"{path.relative_to(ROOT)} {node.name}"
        for path in _python_files()
        for node in _definitions(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert [name for name in names if opening.search(name)] == []


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_sentences_are_short(page: Path) -> None:
    most, allowed = RULES["sentences"]["most_words"], tuple(RULES["sentences"]["allowed"])
    long = [
        s for s in sentences(page.read_text()) if len(s.split()) > most and not s.startswith(allowed or "\0")
    ]
    assert [f"{len(sentence.split())} words: {sentence[:80]}" for sentence in long] == []


def test_long_sentence_is_found() -> None:
    assert sentences("One two. Three `a b` four [five](x).\n\n```\ncode here\n```\n") == [
        "One two.",
        "Three x four five.",
        "x",
    ]
