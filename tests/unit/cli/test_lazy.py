"""Commands load when they run: the list of commands is complete, and help stays light."""

import pkgutil
import subprocess
import sys

import pytest

from signals import cli
from signals.cli.lazy import COMMANDS, commands_of

HEAVY = ("psycopg", "confluent_kafka", "opensearchpy", "ray", "openai", "aiohttp", "yoyo")


def _registering_modules() -> set[str]:
    names = {module.name for module in pkgutil.iter_modules(cli.__path__)}
    return {name for name in names if hasattr(__import__(f"signals.cli.{name}", fromlist=["x"]), "register")}


def test_table_lists_every_command_of_every_module() -> None:
    listed = {(name, module) for name, (module, _) in COMMANDS.items()}
    registered = {(name, module) for module in _registering_modules() for name in commands_of(module)}
    assert listed == registered


@pytest.mark.parametrize("arguments", [["--help"], ["incidents", "--help"], ["search", "--help"]])
def test_help_loads_no_client_library(arguments: list[str]) -> None:
    program = (
        "import sys; from signals.cli import app\n"
        f"try: app({arguments!r})\n"
        f"except SystemExit: print('loaded:', *(m for m in {HEAVY!r} if m in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "loaded:"


def test_help_of_a_command_is_its_own() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "from signals.cli import main; main()", "keys", "rotate", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "keys rotate" in run.stdout
