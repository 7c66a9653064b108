"""Renders pages: templates with every text escaped, and the headers of a page that runs nothing foreign."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from serve_apps.console.assets import Assets
from serve_apps.console.browsers import browser_in_words
from serve_apps.console.words import duration, number
from serve_apps.http.answers import encoded_answer

TEMPLATES: Final = Path(__file__).parent / "templates"
PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Of every page: its own scripts and styles, no inline ones, no foreign host, in no other site's frame."""


@dataclass(frozen=True, slots=True)
class View:
    """A page to be rendered: its template, the template's values, and the status."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Renderer:
    """The compiled templates; safe to use from several threads."""

    def __init__(self) -> None:
        self.assets = Assets()
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {"number": number, "duration": duration, "browser": browser_in_words}
        self._environment.globals["asset"] = self.assets.path
        for name in self._environment.list_templates():  # the first reader should not wait for it
            self._environment.get_template(name)

    def answer(self, request: Request, view: View, common: Mapping[str, Any]) -> Response:
        """Render a view; `common` are the values that every page needs."""
        text = self._environment.get_template(view.template).render(**common, **view.values)
        return encoded_answer(
            request,
            text.encode("utf-8", "replace"),
            status=view.status,
            media_type="text/html",
            headers={**PAGE_HEADERS, **view.headers},
        )


@cache
def renderer() -> Renderer:
    """Return the renderer of this process: to compile the templates takes longer than to build the rest."""
    return Renderer()
