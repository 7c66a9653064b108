"""Reads the parts of a Markdown page that tests compare: sections, tables, shell blocks, links."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
GENERATED = DOCS / "reference"


def pages() -> list[Path]:
    """Every page that a reader finds: the README, the changelog and the site."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """A page's path inside the repository, as a test's id."""
    return str(page.relative_to(ROOT))


def section(page: str, title: str) -> str:
    """The text below a heading of level two, up to the next one."""
    _, _, rest = page.partition(f"\n## {title}\n")
    assert rest, f"there is no section {title!r}"
    return rest.partition("\n## ")[0]


def table(text: str, first_column: str) -> list[list[str]]:
    """The rows of the table whose first heading this is; cells are trimmed and lose their backquotes."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = re.split(r"(?<!\\)\|", line)[1:-1]
        rows.append([cell.strip().removeprefix("`").removesuffix("`") for cell in cells])
    return rows


def shell_blocks(text: str) -> list[str]:
    """The contents of its ```sh blocks."""
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def links(text: str) -> list[str]:
    """The targets of its links and pictures, those to other hosts left out."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(text))
    return [target for target in targets if "://" not in target]


def anchors(text: str) -> set[str]:
    """The anchors of its headings, as both GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    slugs = (re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings)
    return {re.sub(r"-+", "-", slug) for slug in slugs}
