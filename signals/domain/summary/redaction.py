"""Takes personal data and credentials out of a brief before a model is shown any of it.

What has a recognisable form is replaced by a placeholder like `[email-1]`; the same value gets the same
placeholder throughout a brief, so that the model can still see what belongs together. It works on whole
values, before anything is cut: half a token would be recognised by nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from shared_types import RuleFingerprint, read_fingerprint
from signals.domain.events.secret_search import without_secrets
from signals.domain.events.secrets import PLACEHOLDER, is_secret_name
from signals.domain.summary.brief import Brief, BriefEvent
from signals.domain.summary.exhibits import MAX_EVENTS, in_order

MAX_PASSES: Final = 4  # what stood right beside a secret may be recognised only after it is gone
GIT_HASH_CHARS: Final = 40
MAX_READ_CHARS: Final = 16_384  # an event's: a message of 8,192 and its named attributes always fit


class Redactor:
    """Replaces secrets in one brief, numbered by kind in the order in which they appear."""

    def __init__(self) -> None:
        self._placeholders: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def text(self, text: str) -> str:
        """Replace what looks like a secret; placeholders stay as they are."""
        for _ in range(MAX_PASSES):
            found = without_secrets(text, self._placeholder)
            if found == text:
                break
            text = found
        return text

    def value(self, value: object) -> object:
        """Replace secrets anywhere in a JSON value, names of members included."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return self.members(value)
            case list():
                return [self.value(item) for item in value]
            case bool() | None:
                return value
            case _:
                text = str(value)
                redacted = self.text(text)
                return value if redacted == text else redacted

    def members(self, members: Mapping[str, object]) -> dict[str, object]:
        """Replace secrets in names and values; the value under a secret's name is a secret."""
        return {self.text(name): self._member(name, value) for name, value in members.items()}

    def _member(self, name: str, value: object) -> object:
        if value is None or isinstance(value, bool):
            return value
        if is_secret_name(name):
            return self._placeholder("secret", value if isinstance(value, str) else repr(value))
        # A release may be a full git hash: what the person on call compares must stay readable.
        if name == "release" and isinstance(value, str) and len(value) == GIT_HASH_CHARS and value.isalnum():
            return value
        return self.value(value)

    def fingerprint(self, fingerprint: str) -> str:
        """Replace secrets in error code and route, or in the values of a rule's series."""
        parts = read_fingerprint(fingerprint)
        if isinstance(parts, RuleFingerprint):
            values = ((name, value and self.text(value)) for name, value in parts.values)
            return replace(parts, values=tuple(values)).text
        error_code, route = (part and self.text(part) for part in (parts.error_code, parts.route))
        return replace(parts, error_code=error_code, route=route).text

    def _placeholder(self, kind: str, secret: str) -> str:
        if PLACEHOLDER.fullmatch(secret):
            return secret
        known = self._placeholders.get((kind, secret))
        if known is None:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            known = self._placeholders[kind, secret] = f"[{kind}-{self._counts[kind]}]"
        return known


def redact(brief: Brief) -> Brief:
    """Return the brief without secrets; ids, instants and counts stay."""
    redactor = Redactor()

    def redacted(event: BriefEvent) -> BriefEvent:
        return replace(event, attributes=redactor.members(_readable(event.attributes)))

    incident = replace(
        brief.incident,
        fingerprint=redactor.fingerprint(brief.incident.fingerprint),
        title=redactor.text(brief.incident.title),
    )
    return replace(
        brief,
        incident=incident,
        events=tuple(redacted(event) for event in brief.events[:MAX_EVENTS]),
        deploys=tuple(redacted(deploy) for deploy in brief.deploys),
    )


def _readable(attributes: Mapping[str, object]) -> dict[str, object]:
    """Return what is worth reading: whole values up to a budget, so that time is bounded; nothing is cut."""
    left = MAX_READ_CHARS
    found = {}
    for name in in_order(attributes):
        left -= len(name) + len(str(attributes[name]))
        if left < 0:
            break
        found[name] = attributes[name]
    return found
