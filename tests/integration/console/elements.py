"""Reads the elements of a page, and finds those that a page must not have."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser


class Elements(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.found.append((tag, dict(attrs)))

    def faults(self) -> Iterator[str]:
        """Yield what the content security policy would stop, or what leads to another host."""
        for tag, attributes in self.found:
            if tag in ("style", "img", "iframe", "object", "base", "embed"):
                yield tag
            if tag == "script" and not str(attributes.get("src", "")).startswith("/console/static/"):
                yield "inline script"
            for name, value in attributes.items():
                if name.startswith("on") or name == "style":
                    yield name
                if name in ("href", "src", "action") and not re.match(r"[/?#]", value or "?"):
                    yield f"{name}={value}"
