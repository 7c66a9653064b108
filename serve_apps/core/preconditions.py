"""The If-Match header: a change is made only while its object has the version that the client has read."""

import re
from typing import Any, Final

from serve_apps.http.endpoint import Call
from serve_apps.http.problems import Problem

_VERSION: Final = re.compile(r'(?:W/)?"?(\d{1,9})"?', re.ASCII)
IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "the `version` that the client has read; 412 when there is a newer one",
}
OUTDATED: Final = {412: "There is a newer change than the version in If-Match; read it again."}


def if_match(call: Call[Any], *, required: bool = False) -> int | None:
    """Return the version in If-Match, None without one.

    Raises:
        Problem: 428 when it is required and missing, 400 when it is no version.
    """
    given = call.request.headers.get("if-match")
    if given is None and required:
        detail = 'Send the version that you have read as a header, like If-Match: "3".'
        raise Problem(428, "version_required", detail)
    if given is None:
        return None
    match = _VERSION.fullmatch(given.strip())
    if match is None:
        detail = 'If-Match takes one version, like "3": the member `version`, not the ETag of an answer.'
        raise Problem(400, "invalid_version", detail)
    return int(match[1])


def version_changed(named: str) -> Problem:
    """Return the answer when an incident or an outage has a newer change."""
    detail = f"The {named} changed meanwhile; read it again, and send its new `version` as If-Match."
    return Problem(412, "version_changed", detail)
