"""One type name has one meaning in the whole product."""

import ast
from collections import defaultdict
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("shared_types", "signals", "serve_apps", "actors", "producers", "k8s", "release")
TWICE: Final = {"Resources"}  # a type variable that two modules of the HTTP room share


def test_public_type_names_are_unique() -> None:
    modules: dict[str, list[str]] = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    modules[node.name].append(path.relative_to(ROOT).as_posix())
    assert {name: places for name, places in modules.items() if len(places) > 1 and name not in TWICE} == {}
