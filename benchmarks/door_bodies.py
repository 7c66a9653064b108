"""Bodies of other products' clients for the load generator, made from the recorded requests of real ones."""

import base64
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import brotli
import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from benchmarks.ingest_load import DoorShape

BODIES: Final = 200  # distinct requests; they are sent repeatedly, which ingest accepts
RECORDS: Final = 500
SDK_QUALITY: Final = 4  # at which sentry-sdk compresses
ERROR: Final = 17
INFO: Final = 9
PROTOBUF: Final = "Content-Type: application/x-protobuf\r\n"


@cache
def _recorded() -> Mapping[str, bytes]:
    """Return the recorded bodies as they were on the wire, by name."""
    file = Path(__file__).parents[1] / "tests" / "recordings" / "doors.jsonl"
    rows = (json.loads(line) for line in file.read_text().splitlines())
    return {row["case"]: base64.b64decode(row["body"]) for row in rows}


def _sentry() -> Iterator[bytes]:
    plain = brotli.decompress(_recorded()["py2-flask/000"])
    own_id = json.loads(plain.partition(b"\n")[0])["event_id"].encode()
    for number in range(BODIES):
        body = plain.replace(own_id, UUID(int=number + 1).hex.encode())
        yield brotli.compress(body, quality=SDK_QUALITY)


def _ignored() -> Iterator[bytes]:
    yield _recorded()["node11-exception/000"]


def _segment() -> Iterator[bytes]:
    batch = json.loads(_recorded()["seg-py/000"])
    call: dict[str, Any] = next(one for one in batch["batch"] if one["type"] == "track")
    del batch["writeKey"]
    for number in range(BODIES):
        calls = [{**call, "messageId": f"{number}-{position}"} for position in range(100)]
        yield orjson.dumps({**batch, "batch": calls})


def _otlp(kept_every: int) -> Iterator[bytes]:
    message = ExportLogsServiceRequest.FromString(_recorded()["otlp-py-http/000"])
    scope = message.resource_logs[0].scope_logs[0]
    fault = next(record for record in scope.log_records if record.severity_number >= ERROR)
    for number in range(BODIES):
        del scope.log_records[:]
        for position in range(RECORDS):
            record = scope.log_records.add()
            record.CopyFrom(fault)
            record.time_unix_nano += number * RECORDS + position
            if position % kept_every:
                record.severity_number = INFO
                del record.attributes[:]
        yield message.SerializeToString()


SENTRY: Final = DoorShape(
    name="sentry",
    connections=32,
    events=1,
    path="/v1/events/sentry/api/1/envelope/",
    headers="Content-Encoding: br\r\n",
    bodies=_sentry,
)
IGNORED_ONLY: Final = DoorShape(
    name="ignored", connections=32, events=1, path="/v1/events/sentry/api/1/envelope/", bodies=_ignored
)
SEGMENT: Final = DoorShape(
    name="segment", connections=32, events=100, path="/v1/events/segment/v1/batch", bodies=_segment
)
OTLP_TENTH: Final = DoorShape(
    name="otlp-tenth",
    connections=8,
    events=RECORDS,
    path="/v1/events/otlp/v1/logs",
    headers=PROTOBUF,
    bodies=lambda: _otlp(10),
)
OTLP_ALL: Final = DoorShape(
    name="otlp-all",
    connections=8,
    events=RECORDS,
    path="/v1/events/otlp/v1/logs",
    headers=PROTOBUF,
    bodies=lambda: _otlp(1),
)
