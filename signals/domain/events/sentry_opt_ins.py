"""Reads the parts of a Sentry event that only a project's opt-in keeps. The masks hold for them, too.

Cookies and headers are never kept, even if a project asks for them.
"""

from collections.abc import Mapping
from typing import Final

from signals.domain.events.door_settings import DoorSettings, KeptField
from signals.domain.events.foreign import member
from signals.domain.events.masking import masked, masked_members, text_of
from signals.domain.events.sentry_stacks import Frame, crash_frame

MAX_BREADCRUMBS: Final = 20  # the last ones


def kept_of_sentry(
    event: Mapping[str, object], frames: list[Frame], settings: DoorSettings
) -> dict[str, object]:
    """Return the members of a payload that the settings ask for; empty for most projects."""
    if not settings.kept:
        return {}
    request = event.get("request", event.get("sentry.interfaces.Http"))
    parts: dict[KeptField, object] = {
        KeptField.USER_ID: masked(text_of(member(event, "user", "id"))),
        KeptField.REQUEST_URL: _url(request),
        KeptField.REQUEST_DATA: _data(member(request, "data")),
        KeptField.BREADCRUMBS: _breadcrumbs(event.get("breadcrumbs")),
        KeptField.LOCALS: masked_members(member(crash_frame(frames), "vars")),
    }
    return {str(field): part for field, part in parts.items() if part and settings.keeps(field)}


def _url(request: object) -> str:
    url, query = text_of(member(request, "url")), member(request, "query_string")
    if isinstance(query, list):  # pairs, as some clients send them
        query = "&".join("=".join(map(text_of, pair)) for pair in query if isinstance(pair, list))
    if query and isinstance(query, str) and "?" not in url:
        url = f"{url}?{query}"
    return masked(url)


def _data(data: object) -> object:
    return masked_members(data) if isinstance(data, dict) else masked(text_of(data))


def _breadcrumbs(breadcrumbs: object) -> str:
    values = member(breadcrumbs, "values") if isinstance(breadcrumbs, dict) else breadcrumbs
    if not isinstance(values, list):
        return ""
    found = [crumb for crumb in values[-MAX_BREADCRUMBS:] if isinstance(crumb, dict)]
    lines = (f"{text_of(crumb.get('category'))}: {text_of(crumb.get('message'), 200)}" for crumb in found)
    return masked("\n".join(lines))
