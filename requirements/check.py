"""Compares the locks with pyproject.toml, without the network: right packages, allowed versions.

Ends with 1 and names what differs; `make lock` writes the locks again. Run by `make lint` and by pre-commit.
"""

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
OURS = "customer-signals-copilot"
LOCKED = {
    "app.lock": ("app", "operator"),
    "dev.lock": ("local", "operator"),
}
"""Which extras a lock holds, as in lock.py; dev.lock holds every dependency group as well."""
PINNED = re.compile(r"^([a-z0-9][a-z0-9.-]*)(?:\[[^]]*\])?==([^ ;\\]+)", re.MULTILINE)
ENTRY = re.compile(r"^(?=[a-z0-9])", re.MULTILINE)


def wanted(lock: str) -> dict[str, list[Requirement]]:
    """Return what pyproject.toml asks for in this lock, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = list(project["project"]["dependencies"])
    extras = list(LOCKED[lock])
    while extras:
        for line in project["project"]["optional-dependencies"][extras.pop()]:
            requirement = Requirement(line)
            if requirement.name == OURS:
                extras += requirement.extras
            else:
                lines.append(line)
    if lock == "dev.lock":
        lines += [line for group in project["dependency-groups"].values() for line in group]
    requirements: dict[str, list[Requirement]] = {}
    for requirement in map(Requirement, lines):
        requirements.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return requirements


def differences(lock: str) -> list[str]:
    """Return one sentence for each package that a lock lacks, has in a wrong version, or need not have."""
    text = (ROOT / "requirements" / lock).read_text()
    pinned: dict[str, list[str]] = {}
    for name, version in PINNED.findall(text):
        pinned.setdefault(name, []).append(version)
    ours, found = wanted(lock), []
    for name, requirements in ours.items():
        if name not in pinned:
            found.append(f"{lock} lacks {name}")
        for requirement in requirements:
            wrong = [
                v for v in pinned.get(name, []) if not requirement.specifier.contains(v, prereleases=True)
            ]
            found += [f"{lock} has {name} {version}, wanted is {requirement}" for version in wrong]
    for_us = (PINNED.match(entry) for entry in ENTRY.split(text) if f" {OURS} (" in entry)
    surplus = {entry[1] for entry in for_us if entry} - set(ours)
    return found + [
        f"{lock} has {name} for us, pyproject.toml does not ask for it" for name in sorted(surplus)
    ]


if __name__ == "__main__":
    told = [sentence for lock in LOCKED for sentence in differences(lock)]
    sys.exit("\n".join([*told, "run: make lock"]) if told else 0)
