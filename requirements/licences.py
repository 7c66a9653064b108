"""Lists the licence of everything that is locked in docs/operations/licences.md. Run by `make lock`.

A package that is locked for another platform is not installed here: its line is kept as it was, or says so.
"""

import re
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCKS = ("app.lock", "dev.lock")
LIST = ROOT / "docs" / "operations" / "licences.md"
HEAD = """\
# Licences of the dependencies

Written by `make lock` from what the packages say of themselves. "runs" means that it is in `app.lock`,
and so in the image; the others are tools for tests and checks.

| package | version | runs | licence |
|---|---|---|---|
"""
ELSEWHERE = "not installed where this list was written"
LONGEST = 60  # some packages put the whole text into the field


def locked(lock: str) -> set[tuple[str, str]]:
    """Return (name, version) of everything in a lock; a package may have one version a platform."""
    text = (ROOT / "requirements" / lock).read_text()
    return set(re.findall(r"^([a-z0-9][a-z0-9.-]*)(?:\[[^]]*\])?==([^ ;\\]+)", text, re.MULTILINE))


def licence(package: PackageMetadata) -> str:
    """Return the SPDX expression, else the classifiers, else the first line of the old field."""
    if expression := package.get("License-Expression"):
        return str(expression)
    classifiers = [str(c) for c in package.get_all("Classifier") or [] if str(c).startswith("License ::")]
    named = [c.rpartition(" :: ")[2] for c in classifiers if not c.endswith("OSI Approved")]
    first = str(package.get("License") or "").strip().partition("\n")[0]
    return "; ".join(named) or first[:LONGEST] or "see its files"


def lines() -> list[str]:
    """Return one row of the table for each locked package."""
    runs = locked("app.lock")
    known = (
        dict(re.findall(r"^\| (\S+) \|.*\| (.*) \|$", LIST.read_text(), re.MULTILINE))
        if LIST.exists()
        else {}
    )
    rows = []
    for name, version in sorted(locked("dev.lock") | runs):
        try:
            text = licence(metadata(name))
        except PackageNotFoundError:
            text = known.get(name, ELSEWHERE)
        rows.append(f"| {name} | {version} | {'yes' if (name, version) in runs else 'no'} | {text} |")
    return rows


if __name__ == "__main__":
    LIST.write_text(HEAD + "\n".join(lines()) + "\n")
