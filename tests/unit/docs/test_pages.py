"""Every page says what the code does: links, files, targets, commands with their options."""

import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.writers.commands import every_program
from tests.unit.docs.markdown import (
    DOCS,
    GENERATED,
    ROOT,
    anchors,
    links,
    name_of,
    pages,
    prose,
    shell_blocks,
)

README = (ROOT / "README.md").read_text()
MAX_README_LINES = 160
SHELL = [
    pytest.param(block, id=f"{name_of(page)}-{number}")
    for page in pages()
    for number, block in enumerate(shell_blocks(page.read_text()))
]
COMMAND = re.compile(r"(?:^|\$\(|\bapp |\bin_head |\.venv/bin/)(signals(?:-loadgen|-replay)? [^|;)&]+)")
"""Where one of our commands begins: a line, a substitution, or inside a container."""
ELSEWHERE = ("site/", "~/", "/", ".signals", ".venv", "results/", "crds/")
"""How paths begin that a page names and the repository does not hold."""
WRITTEN = [page for page in pages() if GENERATED not in page.parents]
"""Pages that people write; the others are generated, and checked where they are."""


def test_readme_is_read_in_one_sitting() -> None:
    assert len(README.splitlines()) <= MAX_README_LINES


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_lead_to_a_page_and_a_heading(page: Path) -> None:
    wrong = []
    for link in links(page.read_text()):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        inside = page.parent == ROOT or target.is_relative_to(DOCS)  # the site holds nothing else
        if (
            not inside
            or not target.exists()
            or (anchor and anchor.lower() not in anchors(target.read_text()))
        ):
            wrong.append(link)
    assert wrong == []


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_named_files_and_folders_exist(page: Path) -> None:
    named = re.findall(r"`([\w.-]+/[\w./*-]*)`", prose(page.read_text()))
    ours = [path for path in named if not path.startswith(ELSEWHERE) and _is_path(path)]
    assert [path for path in ours if not list(ROOT.glob(path.rstrip("/")))] == []


def _is_path(text: str) -> bool:
    """Whether the first part is a folder of the repository; `text/csv` or `a/b` is none."""
    return (ROOT / text.partition("/")[0]).exists()


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_no_page_leads_out_of_the_repository(page: Path) -> None:
    text = page.read_text()
    assert "../shared" not in text
    assert str(ROOT) not in text


def test_navigation_lists_every_page() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    listed = list(_listed(navigation))
    assert len(listed) == len(set(listed))
    assert set(listed) == {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}


def _listed(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    children = entry.values() if isinstance(entry, dict) else entry
    return [page for child in children for page in _listed(child)]


@pytest.mark.parametrize("block", SHELL)
def test_shell_blocks_are_shell(block: str) -> None:
    done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_make_targets_exist(page: Path) -> None:
    named = set(re.findall(r"(?m)(?:^|`|&& )make ([a-z][a-z0-9-]*)", page.read_text()))
    targets = re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert named <= set(targets)


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_commands_and_their_options_exist(page: Path) -> None:
    programs = every_program()
    wrong = []
    for words in _commands(page.read_text()):
        name = max((known for known in programs if _begins(words, known)), key=len, default=None)
        if name is None or _names_no_command_of(name, words, programs):
            wrong.append(" ".join(words))
            continue
        given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        if unknown := given - programs[name] - {"--help"}:
            wrong.append(f"{name}: {', '.join(sorted(unknown))}")
    assert wrong == []


def _names_no_command_of(group: str, words: list[str], programs: Mapping[str, set[str]]) -> bool:
    """Whether the words go on after a group with a word that is none of its commands."""
    is_group = any(known.startswith(f"{group} ") for known in programs)
    rest = words[group.count(" ") + 1 :]
    return is_group and bool(rest) and rest[0].isalpha()


def _begins(words: list[str], command: str) -> bool:
    return words[: command.count(" ") + 1] == command.split()


def _commands(text: str) -> list[list[str]]:
    """Every command of ours in shell blocks and between backquotes, as words."""
    lines = [line for block in shell_blocks(text) for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(signals(?:-loadgen|-replay)? [^`]+)`", prose(text))
    found = [command for line in lines for command in COMMAND.findall(line)]
    return [shlex.split(command.replace("…", ""), comments=True) for command in found]
