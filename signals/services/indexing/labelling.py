"""Makes the members that an event's document gets for comparisons: its labels and its message's template."""

import re
from functools import lru_cache
from typing import Final

import msgspec
import orjson

from shared_types import parse_envelope
from signals.domain.events.masking import masked
from signals.domain.events.secrets import RULES
from signals.domain.findings.labels import LabelPolicy, labels_of
from signals.domain.findings.templates import MAX_READ_CHARS, template_of
from signals.errors import SettingsError
from signals.settings import LabelSettings

REMEMBERED: Final = 8_192  # messages, of at most `MAX_READ_CHARS`: 6 MB at worst

_MASK: Final = re.compile(rf"\[(?:{'|'.join(sorted({rule.kind for rule in RULES}))})\]")


class _Described(msgspec.Struct, gc=False):
    """The parts of an event that a document is described by."""

    message: str
    attributes: dict[str, object]


_decode = msgspec.json.Decoder(_Described).decode


class Labeller:
    """Describes events by the names that their projects allow; used by one thread."""

    def __init__(self, policy: LabelPolicy) -> None:
        self._policy = policy

    def members(self, project_id: str, data: bytes) -> bytes:
        """Return `,"labels":[...],"template":"..."`, to stand behind a member of the event's object."""
        message, attributes = _description(data)
        labels = labels_of(attributes, self._policy.of(project_id))
        template = masked_template(message[:MAX_READ_CHARS])
        return b',"labels":%s,"template":%s' % (orjson.dumps(labels), orjson.dumps(template))


def label_policy(settings: LabelSettings) -> LabelPolicy:
    """Read which attributes may become labels.

    Raises:
        SettingsError: naming the variable at fault.
    """
    for name in type(settings).model_fields:
        try:
            LabelPolicy.read(getattr(settings, name), "")
        except ValueError as error:
            raise SettingsError(f"{name.upper()}: {error}") from error
    return LabelPolicy.read(settings.signals_labels_allowed, settings.signals_labels_denied)


@lru_cache(maxsize=REMEMBERED)  # most messages come again
def masked_template(message: str) -> str:
    """Return the template of a message without what looks like a secret or a person's data."""
    return template_of(_MASK.sub("{id}", masked(message)))


def _description(data: bytes) -> tuple[str, dict[str, object]]:
    try:
        found = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):  # odd, and valid all the same
        event = parse_envelope(data)
        return event.message, event.attributes.model_dump(mode="json", exclude_none=True)
    return found.message, found.attributes
