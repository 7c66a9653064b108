"""The site builds strictly, and its pages load nothing from another host."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.docs.markdown import ROOT

LOADED = re.compile(
    r"""<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=["'](?:https?:)?//[^"']+["'][^>]*>"""
)
FACES = re.compile(r"""(?:@import|url\()\s*["']?(?:https?:)?//""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built from a copy."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "mkdocs.yml", folder)
    zensical = Path(sys.executable).parent / "zensical"
    done = subprocess.run(
        [zensical, "build", "--strict"], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def test_pages_load_nothing_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    assert [(page.name, found) for page in pages for found in LOADED.findall(page.read_text())] == []


def test_style_sheets_and_pictures_load_nothing_from_another_host(site: Path) -> None:
    files = [path for kind in ("*.css", "*.svg") for path in site.rglob(kind)]
    assert [path.name for path in files if FACES.search(path.read_text())] == []


def test_search_index_is_part_of_the_site(site: Path) -> None:
    index = (site / "search.js").read_text()
    assert "signup drop" in index
    assert (site / "assets" / "iframe-worker-1.0.4.js").exists()


def test_only_pages_and_their_pictures_are_published(site: Path) -> None:
    assert list(site.rglob("*.py")) == []
