"""reference/cli.md, from the typer commands."""

from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

import typer.main

from docs.writers.markdown import code, page, sentence, table
from producers import loadgen, replay
from signals.cli.lazy import complete_app

INTRODUCTION: Final = """\
`signals` runs and inspects the product. `signals-loadgen` and `signals-replay` are separate tools that
send events. Each command prints its help with `--help`. A command that fails prints one sentence and ends
with exit code 1."""


def commands_page() -> str:
    """Return the page."""
    parts = [part for name, command in _programs().items() for part in _described(name, command)]
    return page("Command line", "the commands in signals/cli and producers", INTRODUCTION, parts)


def every_program() -> dict[str, set[str]]:
    """Return the options of each command and group, by its words, like `signals keys create`."""
    return {
        path: options for name, command in _programs().items() for path, options in _options(name, command)
    }


def _programs() -> dict[str, Any]:
    return {
        "signals": typer.main.get_command(complete_app()),
        "signals-loadgen": typer.main.get_command(loadgen._app),  # there is no public name
        "signals-replay": typer.main.get_command(replay._app),
    }


def _options(path: str, command: Any) -> Iterator[tuple[str, set[str]]]:
    children = getattr(command, "commands", None) or {}
    if path != "signals":
        yield (
            path,
            {
                option
                for parameter in command.params
                for option in (*parameter.opts, *parameter.secondary_opts)
            },
        )
    for name, child in children.items():
        yield from _options(f"{path} {name}", child)


def _described(path: str, command: Any) -> Iterator[str]:
    children = getattr(command, "commands", None)
    if children:
        yield f"## {path}"
        yield sentence(command.help or "")
        for name, child in children.items():
            yield from _described(f"{path} {name}", child)
        return
    yield f"## {path}" if " " not in path else f"### {path}"
    yield _help(command.help)
    yield f"```text\n{_usage(path, command)}\n```"
    shown = [parameter for parameter in command.params if parameter.name != "help"]
    if shown:
        yield table(["argument or option", "default", "meaning"], [_row(one) for one in shown])


def _help(text: str | None) -> str:
    paragraphs = (text or "").strip().split("\n\n")
    return "\n\n".join(sentence(paragraph) for paragraph in paragraphs)


def _usage(path: str, command: Any) -> str:
    arguments = [
        name if parameter.required else f"[{name}]"
        for parameter in command.params
        if parameter.param_type_name == "argument"
        for name in [_name(parameter) + ("..." if parameter.nargs == -1 else "")]
    ]
    has_options = any(parameter.param_type_name == "option" for parameter in command.params)
    return " ".join([path, *(["[OPTIONS]"] if has_options else []), *arguments])


def _name(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name).upper().replace("_", "-")


def _row(parameter: Any) -> list[str]:
    if parameter.param_type_name == "argument":
        name = code(_name(parameter))
    else:
        name = ", ".join(code(option) for option in parameter.opts)
    meaning = sentence(parameter.help or "")
    if parameter.envvar:
        meaning += f" Environment: {code(parameter.envvar)}."
    return [name, _default(parameter), meaning + _choices(parameter)]


def _choices(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    if not (isinstance(kind, type) and issubclass(kind, Enum)):
        return ""
    return " One of " + ", ".join(code(choice.value) for choice in kind) + "."


def _default(parameter: Any) -> str:
    default = getattr(parameter.default, "value", parameter.default)
    if parameter.required:
        return "required"
    if default is None or default is False or default == []:
        return "-"
    return code(default)
