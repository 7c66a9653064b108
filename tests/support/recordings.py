"""Recorded requests of real clients, and how each is read."""

import base64
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import brotli

from shared_types import Tenancy
from signals.domain.events.foreign import ForeignReading, Receipt
from signals.domain.events.from_otlp import read_otlp
from signals.domain.events.from_segment import parse_calls, read_calls
from signals.domain.events.from_sentry import read_envelope, read_store
from signals.domain.events.sentry_envelopes import split_envelope

RECORDED_AT = datetime(2026, 11, 29, 6, 0, tzinfo=UTC)
RECEIPT = Receipt(tenancy=Tenancy("org_1", "proj_1"), received_at=RECORDED_AT)

_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "br": brotli.decompress,
    "gzip": lambda body: zlib.decompress(body, 31),
    "deflate": zlib.decompress,
    "identity": bytes,
}


@dataclass(frozen=True, slots=True)
class Recording:
    """One request and the events that it means."""

    case: str
    door: str | None
    path: str
    headers: dict[str, str]
    wire: bytes
    expected: list[dict[str, Any]]

    @property
    def body(self) -> bytes:
        """The body as it was before it was compressed."""
        return _DECODERS[self.headers.get("content-encoding", "identity")](self.wire)

    def read(self, receipt: Receipt = RECEIPT) -> ForeignReading:
        """Read it as its door does."""
        if self.door == "segment":
            return read_calls(parse_calls(self.body, None), receipt)
        if self.door == "otlp":
            is_json = self.headers["content-type"] == "application/json"
            return read_otlp(self.body, "logs", receipt, is_json=is_json)
        if "/store/" in self.path:
            return read_store(self.body, receipt)
        return read_envelope(split_envelope(self.body), receipt)


@cache
def recordings() -> tuple[Recording, ...]:
    """Return all recordings, in the order of the file."""
    file = Path(__file__).parents[1] / "recordings" / "doors.jsonl"
    return tuple(_recording(json.loads(line)) for line in file.read_text().splitlines())


def recording(case: str) -> Recording:
    """Return one recording by its name."""
    return next(one for one in recordings() if one.case == case)


def _recording(row: dict[str, Any]) -> Recording:
    request, *lines = row["head"].strip().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    headers = {name.lower(): value for name, value in pairs}
    body = base64.b64decode(row["body"])
    return Recording(row["case"], row["door"], request.split()[1], headers, body, row["expected"])
