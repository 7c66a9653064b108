"""Renders the OpenAPI document as one page of HTML: no script, no foreign host, a strict security policy."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

import orjson

STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 0 auto; padding: 1rem; max-width: 62rem }
details { border: 1px solid #8886; border-radius: 6px; margin: .5rem 0; padding: .5rem .75rem }
summary { cursor: pointer }
summary b { display: inline-block; min-width: 4rem }
code, pre { font: .875rem/1.4 ui-monospace, monospace }
pre { overflow: auto; background: #8882; padding: .5rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; border-bottom: 1px solid #8884; padding: .25rem .5rem }
"""
INTRODUCTION: Final = (
    '<p>For programs: <a href="/openapi.json">/openapi.json</a>. Endpoints marked with a key need '
    "<code>Authorization: Bearer &lt;key&gt;</code> or <code>X-API-Key: &lt;key&gt;</code>.</p>"
)
_STYLE_HASH: Final = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
PAGE_HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def docs_page(document: Mapping[str, Any]) -> str:
    """Return the page: one section an operation, then the schemas that they refer to."""
    info = document["info"]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title>",
        f"<meta name=viewport content='width=device-width'><style>{STYLE}</style>",
        f"<h1>{escape(info['title'])}</h1><p>{escape(info['description'])}</p>",
        INTRODUCTION,
        "<h2>Operations</h2>",
    ]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts += _operation(method.upper(), path, operation)
    parts.append("<h2>Schemas</h2>")
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts.append(f"<details id='{escape(name)}'><summary><code>{escape(name)}</code> ")
        parts.append(f"{escape(schema.get('description', ''))}</summary>{_json(schema)}</details>")
    return "".join(parts)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    name = escape(operation["operationId"])
    needs_key = " &#128273;" if "security" in operation else ""
    yield f"<details id='{name}'><summary><b>{method}</b> <code>{escape(path)}</code>{needs_key} "
    rest = operation["description"].partition("\n")[2]
    yield f"{escape(operation['summary'])}</summary><p>{escape(rest)}</p>"
    if parameters := operation.get("parameters"):
        yield "<table><tr><th>parameter<th>in<th>schema<th>meaning"
        for one in parameters:
            yield f"<tr><td><code>{escape(one['name'])}</code><td>{one['in']}<td>{_shown(one['schema'])}"
            yield f"<td>{escape(one.get('description', ''))}"
        yield "</table>"
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body, {escape(media)}: {_shown(content['schema'])}</p>"
    yield "<table><tr><th>status<th>meaning<th>body"
    for status, response in operation["responses"].items():
        bodies = [_shown(content["schema"]) for content in response.get("content", {}).values()]
        yield f"<tr><td>{status}<td>{escape(response['description'])}<td>{' '.join(bodies)}"
    yield "</table></details>"


def _shown(schema: Mapping[str, Any]) -> str:
    if set(schema) == {"$ref"}:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    return f"<code>{escape(orjson.dumps(schema).decode())}</code>"


def _json(schema: Mapping[str, Any]) -> str:
    return f"<pre>{escape(orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode())}</pre>"
