"""Bodies are bounded on the wire, in memory and in events, before and after decompression."""

import gzip
import resource
import tracemalloc
import zlib

import pytest
import zstandard
from starlette.testclient import TestClient

from tests.integration.ingest.shapes import MIB, NDJSON, assert_problem, body

pytestmark = pytest.mark.usefixtures("nothing_stored")


@pytest.mark.parametrize("content", [b"[]", b'{"events": []}', b"\n \r\n"])
def test_an_empty_batch_is_refused(client: TestClient, content: bytes) -> None:
    headers = {
        "Content-Type": "application/json" if content.startswith((b"[", b"{")) else NDJSON["Content-Type"]
    }
    answer = client.post("/v1/events/batch", content=content, headers=headers)
    assert_problem(answer, 422, "empty_batch")


def test_batch_holds_at_most_a_thousand_events(client: TestClient) -> None:
    answer = client.post("/v1/events/batch", json=[{}] * 1_001)
    assert_problem(answer, 413, "too_many_events")
    answer = client.post("/v1/events/batch", content=b"{}\n" * 1_001, headers=NDJSON)
    assert_problem(answer, 413, "too_many_events")
    assert_problem(client.post("/v1/events/batch", json=[{}] * 1_000), 422, "nothing_accepted")


@pytest.mark.parametrize(("path", "limit"), [("/v1/events", MIB), ("/v1/events/batch", 8 * MIB)])
def test_bodies_are_bounded(client: TestClient, path: str, limit: int) -> None:
    fits = b"[" + b" " * (limit - 2) + b"]"
    assert client.post(path, content=fits).status_code == 422
    assert_problem(client.post(path, content=fits + b" "), 413, "too_large")
    assert_problem(client.post(path, content=iter([fits, b" "])), 413, "too_large")  # no Content-Length
    for encoding, compress in (("gzip", gzip.compress), ("zstd", zstandard.compress)):
        headers = {"Content-Encoding": encoding}
        assert client.post(path, content=compress(fits), headers=headers).status_code == 422
        assert_problem(client.post(path, content=compress(fits + b" "), headers=headers), 413, "too_large")


def _bomb(encoding: str) -> bytes:
    """Compress 1 GiB of spaces into some kilobytes, or a megabyte for gzip."""
    if encoding == "gzip":
        deflater = zlib.compressobj(9, wbits=31)
        return b"".join([*(deflater.compress(b" " * MIB) for _ in range(1024)), deflater.flush()])
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    return b"".join([*(compressor.compress(b" " * MIB) for _ in range(1024)), compressor.flush()])


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_compression_bomb_answers_413_without_memory(client: TestClient, encoding: str) -> None:
    content = _bomb(encoding)
    resident_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    answer = client.post("/v1/events/batch", content=content, headers={"Content-Encoding": encoding})
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_problem(answer, 413, "too_large")
    assert peak_bytes < 48 * MIB
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident_before) * 1024 < 64 * MIB


@pytest.mark.parametrize(
    ("content", "code"), [(b"\n" * 8 * MIB, "empty_batch"), (b"1\n" * 4 * MIB, "too_many_events")]
)
def test_millions_of_lines_cost_neither_memory_nor_time(
    client: TestClient, content: bytes, code: str
) -> None:
    headers = {"Content-Encoding": "gzip", **NDJSON}
    compressed = gzip.compress(content)
    tracemalloc.start()
    answer = client.post("/v1/events/batch", content=compressed, headers=headers)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_problem(answer, {"empty_batch": 422, "too_many_events": 413}[code], code)
    assert peak_bytes < 48 * MIB


def test_an_endless_idempotency_key_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/events", json=body(), headers={"Idempotency-Key": "x" * 257})
    assert_problem(answer, 400, "idempotency_key_too_long")


@pytest.mark.parametrize(
    "content", [b"[" + b"{}," * 2_790_000 + b"{}]", b'{"events": [{"payload": {"a": [' + b"[]," * 2_700_000]
)
def test_millions_of_values_are_refused_before_they_are_built(client: TestClient, content: bytes) -> None:
    compressed = gzip.compress(content)
    tracemalloc.start()
    answer = client.post("/v1/events/batch", content=compressed, headers={"Content-Encoding": "gzip"})
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_problem(answer, 413, "too_many_values")
    assert peak_bytes < 48 * MIB
