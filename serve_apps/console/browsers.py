"""Browsers and their systems as people know them, from what they send as `User-Agent`."""

import re
from typing import Final

BROWSERS: Final = (
    ("Edge", re.compile(r"\bEdg(?:e|A|iOS)?/(\d+)")),
    ("Opera", re.compile(r"\bOPR/(\d+)")),
    ("Samsung Internet", re.compile(r"\bSamsungBrowser/(\d+)")),
    ("Firefox", re.compile(r"\b(?:Firefox|FxiOS)/(\d+)")),
    ("Chrome", re.compile(r"\b(?:Headless)?(?:Chrome|CriOS)/(\d+)")),
    ("Safari", re.compile(r"\bVersion/(\d+)[\d.]* (?:Mobile/\S+ )?Safari/")),
    ("curl", re.compile(r"^curl/(\d+)")),
)
"""In this order: most name older ones as well."""
SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)


def browser_in_words(sent: str) -> str:
    """Name a browser with its version and system, as far as they are known; else what it sent."""
    found = next(((name, match[1]) for name, form in BROWSERS if (match := form.search(sent))), None)
    system = next((name for mark, name in SYSTEMS if mark in sent), None)
    if found is None:
        return sent
    return f"{found[0]} {found[1]}" + (f" on {system}" if system else "")
