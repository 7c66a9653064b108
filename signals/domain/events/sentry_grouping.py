"""Finds message, error code and route of a Sentry event."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from shared_types.envelope import LABEL_CHARS, ROUTE_CHARS
from signals.domain.events.foreign import member
from signals.domain.events.grouping import (
    GENERIC_TYPES,
    WRAPPERS,
    code_in,
    path_in,
    path_of,
    templated,
    varying_masked,
)
from signals.domain.events.masking import label, masked, text_of
from signals.domain.events.sentry_stacks import SentryFault, culprit_of, last_function, loose_frames

DEFAULT_PARTS: Final = frozenset({"{{ default }}", "{{default}}"})


@dataclass(frozen=True, slots=True)
class SentryTexts:
    """A message put together, and its template, empty when the client sent none."""

    formatted: str
    template: str


def main_fault(faults: list[SentryFault]) -> SentryFault | None:
    """Choose the outermost fault that is no wrapper; all wrappers: the outermost."""
    named = (fault for fault in reversed(faults) if fault.is_typed and fault.type not in WRAPPERS)
    return next(named, faults[-1] if faults else None)


def texts_of(event: Mapping[str, object]) -> SentryTexts:
    """Find message and template in the places where clients of all ages put them."""
    plain = event.get("message")
    entries = (event.get("logentry"), event.get("sentry.interfaces.Message"), plain)
    for entry in entries:
        if isinstance(entry, dict):
            template, formatted = text_of(entry.get("message")), text_of(entry.get("formatted"))
            if template or formatted:
                # Without parameters the text was put together before, and its parts vary.
                is_template = bool(entry.get("params")) or formatted not in ("", template)
                return SentryTexts(formatted or template, template if is_template else "")
        elif isinstance(entry, str) and entry.strip():
            return SentryTexts(entry, "")
    return SentryTexts("", "")


def message_of(main: SentryFault | None, texts: SentryTexts) -> str:
    """Return the message, empty when there is none."""
    if main is not None and main.is_typed and not main.is_synthetic:
        return f"{main.type}: {main.value}" if main.value else main.type
    return (main.value if main is not None else "") or texts.formatted


def code_of(main: SentryFault | None, texts: SentryTexts) -> str | None:
    """Return the error code of a fault or a message, None when nothing names it."""
    if main is not None and main.is_typed and not main.is_synthetic:
        if main.type in GENERIC_TYPES and (function := code_in(last_function(main.frames))):
            return label(masked(f"Error in {function}"), LABEL_CHARS)
        return label(masked(main.type), LABEL_CHARS)
    if texts.template:  # written by the developer, so its parts do not vary
        return label(masked(texts.template), LABEL_CHARS)
    if texts.formatted:
        return varying_masked(texts.formatted)
    if main is None:
        return None
    function = code_in(last_function(main.frames)) or ""
    return label(masked(function), LABEL_CHARS) or varying_masked(main.value)


def route_of(
    event: Mapping[str, object], faults: list[SentryFault], main: SentryFault | None
) -> tuple[str | None, str, object]:
    """Return route, the rule that found it, and method."""
    transaction = event.get("transaction")
    transaction = transaction if isinstance(transaction, str) and transaction.strip() else None
    source = member(event, "transaction_info", "source")
    request = event.get("request", event.get("sentry.interfaces.Http"))
    method, url = member(request, "method"), member(request, "url")
    if transaction and (found := path_in(transaction)):
        route = templated(found[1], is_declared=source == "route")
        return route, "transaction", method or found[0]
    if transaction and source == "route":
        return templated(transaction, is_declared=True), "transaction", method
    if (
        isinstance(url, str)
        and source in (None, "", "url", "component", "unknown")
        and (path := path_of(url))
    ):
        return templated(path), "request.url", method
    if transaction:
        return label(masked(transaction), ROUTE_CHARS), "transaction", method
    chains: Iterable[SentryFault] = faults[faults.index(main) :] if main is not None else ()
    for frames in (*(fault.frames for fault in chains), loose_frames(event)):
        if culprit := culprit_of(frames):
            return label(culprit, ROUTE_CHARS), "culprit", method
    logger = event.get("logger")
    return (label(masked(logger), ROUTE_CHARS) if isinstance(logger, str) else None), "logger", method


def custom_grouping(
    event: Mapping[str, object], route: str | None, code: str | None, payload: dict[str, object]
) -> tuple[str | None, str | None]:
    """Apply the SDK's own fingerprint to route and code."""
    parts = event.get("fingerprint")
    if code is None or not isinstance(parts, list):
        return route, code
    texts = [masked(text_of(part)) for part in parts[:16] if text_of(part).strip()]
    own = [text for text in texts if text not in DEFAULT_PARTS]
    if not own:
        return route, code
    if len(own) < len(texts):
        return route, label("/".join([code, *own]), LABEL_CHARS)
    if route:
        payload["route"] = route
    return None, label("/".join(own), LABEL_CHARS)
