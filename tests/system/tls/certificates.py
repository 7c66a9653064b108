"""Certificates of every kind, made for one run of the tests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

NAME = "localhost"
"""The only name in the certificates: the servers listen on 127.0.0.1, which is therefore a wrong one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """PEM texts: our CA, a stranger's, and what servers show, key and chain.

    Ours has signed `valid` and `expired`, the stranger's `other_valid`.
    """

    ca: str
    other_ca: str
    valid: str
    expired: str
    other_valid: str


def issue() -> Certificates:
    """Make two CAs and certificates for `NAME`."""
    ca, other, now = trustme.CA(), trustme.CA(), datetime.now(UTC)
    return Certificates(
        ca=ca.cert_pem.bytes().decode(),
        other_ca=other.cert_pem.bytes().decode(),
        valid=_pem(ca.issue_cert(NAME)),
        expired=_pem(
            ca.issue_cert(NAME, not_before=now - timedelta(days=2), not_after=now - timedelta(days=1))
        ),
        other_valid=_pem(other.issue_cert(NAME)),
    )


def write(folder: Path, name: str, pem: str) -> Path:
    """Write a PEM file that every account may read."""
    path = folder / name
    path.write_text(pem)
    path.chmod(0o644)
    return path


def _pem(leaf: trustme.LeafCert) -> str:
    """Return key and chain; the key as PKCS#8, which is the only form that Kafka reads."""
    key = load_pem_private_key(leaf.private_key_pem.bytes(), password=None)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return b"".join((text, *(pem.bytes() for pem in leaf.cert_chain_pems))).decode()
