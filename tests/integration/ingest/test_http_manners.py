"""Manners of ingest-api: HEAD, no caching, compression on request, one key a request."""

import gzip

from starlette.testclient import TestClient

from signals.services.access.provisioning import IssuedKey
from tests.integration.ingest.shapes import body


def test_health_answers_head(anonymous: TestClient) -> None:
    whole, head = anonymous.get("/v1/events/healthz"), anonymous.head("/v1/events/healthz")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == whole.headers


def test_answer_forbids_caches(client: TestClient) -> None:
    accepted = client.post("/v1/events", json=body())
    refused = client.post("/v1/events", content=b"{")
    assert (accepted.status_code, refused.status_code) == (202, 400)
    for answer in (accepted, refused, client.get("/v1/events/healthz"), client.get("/v1/events/x")):
        assert answer.headers["cache-control"] == "no-store"


def test_results_of_a_batch_are_compressed_only_when_asked(client: TestClient) -> None:
    client.headers["Accept-Encoding"] = "identity"
    plain = client.post("/v1/events/batch", json=[body() for _ in range(50)])
    assert "content-encoding" not in plain.headers
    asked = {"Accept-Encoding": "gzip"}
    with client.stream("POST", "/v1/events/batch", json=[body() for _ in range(50)], headers=asked) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw).startswith(b'{"accepted":50,')
    assert len(raw) < len(plain.content)


def test_two_different_keys_are_refused(anonymous: TestClient, key: IssuedKey) -> None:
    both = {"Authorization": f"Bearer {key.text}", "X-API-Key": "another"}
    answer = anonymous.post("/v1/events", json=body(), headers=both)
    assert (answer.status_code, answer.json()["code"]) == (400, "conflicting_keys")
    assert key.text not in answer.text


def test_every_method_of_a_path_is_listed(anonymous: TestClient) -> None:
    answer = anonymous.delete("/v1/events/healthz")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
