"""Judging Secrets: missing and broken keys, certificates, digest."""

import base64
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme

from k8s.operator.cluster import Manifest
from k8s.operator.manifests.configuration import SecretKey
from k8s.operator.secrets import judged

CA = SecretKey(variable="PG_CA_CERT", secret="pg-ca", key="ca.crt")
URL = SecretKey(variable="DATABASE_URL", secret="pg", key="DATABASE_URL")
USER = SecretKey(variable="OPENSEARCH_USER", secret="os", key="OPENSEARCH_USER", required=False)


def _secret(**data: bytes) -> Manifest:
    return {"data": {name: base64.b64encode(value).decode() for name, value in data.items()}}


def _ca(days: int) -> bytes:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    ca = trustme.CA()
    return ca.issue_cert("db.example", not_after=ends).cert_chain_pems[0].bytes()


@pytest.mark.parametrize(
    ("secrets", "key", "reason", "named"),
    [
        ({}, URL, "SecretMissing", "Secret pg is missing"),
        ({"pg": _secret(other=b"x")}, URL, "SecretKeyMissing", "no key DATABASE_URL"),
        ({"pg": _secret(DATABASE_URL=b" \n")}, URL, "SecretKeyMissing", "no key DATABASE_URL"),
        ({"pg": "forbidden: …"}, URL, "SecretForbidden", "operator.secretNames of the chart's values"),
        (
            {"pg-ca": _secret(**{"ca.crt": b"nonsense"})},
            CA,
            "CertificateInvalid",
            "key ca.crt of Secret pg-ca",
        ),
    ],
)
def test_problem_of_a_secret_is_named(
    secrets: dict[str, Manifest | str], key: SecretKey, reason: str, named: str
) -> None:
    view = judged(secrets, [key], salt="s")
    assert view.reason == reason
    [problem] = view.problems
    assert named in problem


def test_optional_keys_may_be_missing() -> None:
    assert judged({}, [USER], salt="s").problems == ()


@pytest.mark.parametrize("encode", [lambda pem: pem, base64.b64encode])
def test_certificate_is_read_as_pem_and_as_base64_of_it(encode: Any) -> None:
    pem = _ca(days=10)
    view = judged({"pg-ca": _secret(**{"ca.crt": encode(pem)})}, [CA], salt="s")
    [certificate] = view.certificates
    assert timedelta(days=9) < certificate.ends_at - datetime.now(UTC) < timedelta(days=11)


def test_first_certificate_to_end_counts() -> None:
    both = _ca(days=300) + _ca(days=3)
    [certificate] = judged({"pg-ca": _secret(**{"ca.crt": both})}, [CA], salt="s").certificates
    assert certificate.ends_at - datetime.now(UTC) < timedelta(days=4)


def test_digest_follows_the_contents_and_the_stack() -> None:
    one, two = ({"pg": _secret(DATABASE_URL=url)} for url in (b"a", b"b"))
    digests = {judged(secrets, [URL], salt=salt).digest for secrets in (one, two) for salt in ("x", "y")}
    assert len(digests) == 4
    assert judged(one, [URL], salt="x").digest == judged(deepcopy(one), [URL], salt="x").digest
