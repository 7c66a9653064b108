"""Every text that code cites is in the repository: pages with their headings, and numbered requirements."""

import re
import subprocess
from pathlib import Path

from tests.unit.docs.markdown import DOCS, ROOT, anchors

SUFFIXES = {".py", ".sql", ".toml", ".yml", ".yaml", ".sh", ".tpl", ".txt"}
NOT_HERE = re.compile(
    r"(?i)\bspecification['s]*\b(?! of )|\bdesign: |\bdesign note\b|\bdecision \d|\bdata path\b"
)
"""How code cited texts that lay outside the repository."""
PAGE = re.compile(r"\b(docs/[\w/-]+\.md)(?:#([\w-]+))?")
REQUIREMENTS = re.compile(r"(?i)(?:requirements?(?:\.md,)?) ((?:R\d+(?:, | and | to )?)+)")
OUTSIDE = re.compile(
    r"(?i)outside (?:document|specification)|libpq|openapi specification|jsonschema-specifications"
)


def _files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    paths = [ROOT / name for name in listed if name and not name.startswith("docs/")]
    return [
        path
        for path in paths
        if path.is_file() and (path.suffix in SUFFIXES or path.name in ("Makefile", "Dockerfile"))
    ]


FILES = _files()


def test_code_cites_no_text_outside_the_repository() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in FILES
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if NOT_HERE.search(line) and not OUTSIDE.search(line)
    ]
    assert found == []


def test_cited_pages_exist() -> None:
    wrong = []
    for path in FILES:
        for page, anchor in PAGE.findall(path.read_text()):
            target = ROOT / page
            if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
                wrong.append(f"{path.relative_to(ROOT)}: {page}#{anchor}")
    assert wrong == []


def test_cited_requirements_exist() -> None:
    text = (DOCS / "requirements.md").read_text()
    stated = re.findall(r"^- \*\*(R\d+)\.\*\*", text, re.MULTILINE)
    assert stated == [f"R{number}" for number in range(1, len(stated) + 1)]
    cited = {
        name
        for path in FILES
        for names in REQUIREMENTS.findall(path.read_text())
        for name in re.findall(r"R\d+", names)
    }
    assert len(cited) > 10
    assert cited <= set(stated)
