"""The names that users of a release know, read from its code: `python -m tests.system.upgrade.names FILE`.

The file is the inventory of one release; `test_old_names.py` asks the present code for each of its names.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import typer
import typer.main
import yaml

from k8s.operator.crds import scenario_crd, stack_crd
from k8s.operator.settings import OperatorSettings
from producers import loadgen, replay
from serve_apps.core.routes import document
from signals import settings
from signals.cli.lazy import complete_app
from signals.clients.kafka import DLQ_TOPIC, ENGINE_GROUP, INDEXER_GROUP, JOBS_TOPIC, RAW_TOPIC
from signals.clients.opensearch import EVENTS_INDEX
from signals.ray_node.variables import image_variables

ROOT: Final = Path(__file__).resolve().parents[3]
READERS: Final = ("signals", "producers")
READ: Final = re.compile(
    r"""environ(?:\.get\(|\[)\s*"([A-Z_]+)"|envvar="([A-Z_]+)"|\b_?variable\(['"]([A-Z_]+)['"]\)"""
)
"""How code reads a variable that is no setting: before there are any, or without the product."""
PACKAGES: Final = "signals|serve_apps|actors|producers|k8s|shared_types|fixtures|benchmarks"
RUN_AS_MODULE: Final = re.compile(rf"python3? -m ((?:{PACKAGES})[a-z_.]*)")
SHOWN_IN: Final = ("README.md", "docs", "fixtures/README.md", "Dockerfile", "docker", "docker-compose.yml")
FILES: Final = (
    "serve_apps/config.yaml",
    "helm/signals",
    "helm/signals/examples/*",
    "fixtures/scenarios/*",
    "shared_types/schema/*.json",
    "k8s/kind/kind.sh",
    "docker-compose.yml",
    "Dockerfile",
)
"""Files that the documentation tells users to hand to a command or to another program."""

Names = dict[str, list[str]]


def inventory() -> dict[str, Names | list[str]]:
    """Return every public name of this code by kind; some have parts: options, parameters."""
    return {
        "variables": sorted(_variables()),
        "commands": _commands(),
        "make": sorted(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)),
        "http": _operations(),
        "chart_values": sorted(_chart_values()),
        "stack_fields": sorted(_fields(_schema(stack_crd()))),
        "scenario_fields": sorted(_fields(_schema(scenario_crd()))),
        "modules": sorted(_modules()),
        "import_paths": sorted(_import_paths()),
        "files": sorted(str(path.relative_to(ROOT)) for pattern in FILES for path in ROOT.glob(pattern)),
        "wire": sorted({RAW_TOPIC, JOBS_TOPIC, DLQ_TOPIC, ENGINE_GROUP, INDEXER_GROUP, EVENTS_INDEX}),
    }


def _variables() -> set[str]:
    found = set(settings.variables()) | {name.upper() for name in OperatorSettings.model_fields}
    for folder in READERS:
        for path in (ROOT / folder).rglob("*.py"):
            found |= {name for groups in READ.findall(path.read_text()) for name in groups if name}
    return found - {"PATH"}


def _commands() -> Names:
    tools = {"signals": complete_app(), "signals-loadgen": loadgen._app, "signals-replay": replay._app}
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    commands: Names = {name: [] for name in scripts}
    for tool, app in tools.items():
        commands |= dict(_parts(typer.main.get_command(app), tool))
    return commands


def _parts(command: Any, name: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command below `command` with its options; arguments have no names but places."""
    options = (part for part in command.params if part.param_type_name == "option")
    words = [word for option in options for word in (*option.opts, *option.secondary_opts)]
    arguments = sum(part.param_type_name == "argument" for part in command.params)
    yield name, sorted(words) + [f"argument {place}" for place in range(1, arguments + 1)]
    for below, subcommand in getattr(command, "commands", {}).items():
        yield from _parts(subcommand, f"{name} {below}")


def _operations() -> Names:
    return {
        f"{method.upper()} {path}": sorted(
            f"{parameter['in']} {parameter['name']}" for parameter in operation.get("parameters", ())
        )
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
    }


def _chart_values() -> Iterator[str]:
    yield from _keys(yaml.safe_load((ROOT / "helm/signals/values.yaml").read_text()))
    schema = json.loads((ROOT / "helm/signals/values.schema.json").read_text())
    yield from (f"stack.spec.{name}" for name in _fields(schema["$defs"]["stackSpec"]))


def _keys(values: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield before + name
        if isinstance(value, dict):
            yield from _keys(value, f"{before}{name}.")


def _schema(crd: Mapping[str, Any]) -> dict[str, Any]:
    (version,) = crd["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    assert isinstance(schema, dict)
    return schema


def _fields(node: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Yield the path of every field of a JSON schema; words that a field takes follow after `=`."""
    yield from (f"{before.removesuffix('.')}={word}" for word in node.get("enum", ()))
    for name, field in node.get("properties", {}).items():
        yield before + name
        yield from _fields(field, f"{before}{name}.")
    for below in ("items", "additionalProperties"):
        if isinstance(node.get(below), dict):
            yield from _fields(node[below], before)


def _modules() -> set[str]:
    """Modules that the documentation and the image run by `python -m`."""
    places = [ROOT / name for name in SHOWN_IN]
    files = [path for place in places for path in (place.rglob("*") if place.is_dir() else [place])]
    texts = [path.read_text() for path in files if path.suffix in ("", ".md", ".yml") and path.is_file()]
    return {name for text in texts for name in RUN_AS_MODULE.findall(text)}


def _import_paths() -> set[str]:
    """Import paths in users' configuration: Serve's applications and Ray's start hook."""
    config = yaml.safe_load((ROOT / "serve_apps/config.yaml").read_text())
    paths = {application["import_path"] for application in config["applications"]}
    return paths | {image_variables()["RAY_START_HOOK"]}


def main() -> None:
    """Write the inventory of this code."""
    Path(sys.argv[1]).write_text(json.dumps(inventory(), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
