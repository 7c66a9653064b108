"""Judges the Secrets that a stack names: missing keys and expiry of CA certificates."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from k8s.operator.cluster import SECRET, Cluster, ClusterRefused, Manifest
from k8s.operator.manifests.configuration import SecretKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Expiry of the CA at one place; the earliest of several in one file."""

    place: str
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsView:
    """The Secrets as judged: `reason` and `problems` are empty when every key is present."""

    digest: str
    reason: str = ""
    problems: tuple[str, ...] = ()
    certificates: tuple[Certificate, ...] = ()


def read_secrets(cluster: Cluster, namespace: str, keys: Sequence[SecretKey]) -> dict[str, Manifest | str]:
    """Return each Secret by name, without missing ones; a forbidden one is the API server's message."""
    found: dict[str, Manifest | str] = {}
    for name in dict.fromkeys(key.secret for key in keys):
        try:
            secret = cluster.read(SECRET, namespace, name)
        except ClusterRefused as error:
            if error.status != 403:
                raise
            found[name] = str(error)
            continue
        if secret is not None:
            found[name] = secret
    return found


def judged(secrets: Mapping[str, Manifest | str], keys: Sequence[SecretKey], *, salt: str) -> SecretsView:
    """Judge the Secrets that were read; `salt` keeps short values from being guessed by their digest."""
    digest = hmac.new(salt.encode(), digestmod=hashlib.sha256)
    reasons, problems, certificates = [], [], []
    for key in keys:
        try:
            value = _value(secrets, key)
            if value and key.is_certificate:
                certificates.append(Certificate(place=_place(key), ends_at=_ends_at(value, key)))
        except _Problem as problem:
            reasons.append(problem.reason)
            problems.append(problem.sentence)
            continue
        digest.update(f"{key.variable}:{len(value)}:".encode() + value)
    return SecretsView(
        digest=digest.hexdigest(),
        reason=reasons[0] if reasons else "",
        problems=tuple(dict.fromkeys(problems)),
        certificates=tuple(certificates),
    )


class _Problem(Exception):  # noqa: N818  # stays in this module
    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


def _place(key: SecretKey) -> str:
    return f"key {key.key} of Secret {key.secret}"


def _value(secrets: Mapping[str, Manifest | str], key: SecretKey) -> bytes:
    secret = secrets.get(key.secret)
    if isinstance(secret, str):
        remedy = "name it in stack.spec or operator.secretNames of the chart's values and run helm upgrade"
        sentence = f"the operator may not read Secret {key.secret}: {remedy} ({secret})"
        raise _Problem("SecretForbidden", sentence)
    if secret is None:
        if not key.required:
            return b""
        raise _Problem(
            "SecretMissing",
            f"Secret {key.secret} is missing; create it with key {key.key} for {key.variable}",
        )
    value = base64.b64decode((secret.get("data") or {}).get(key.key, ""))
    if not value.strip() and key.required:
        raise _Problem(
            "SecretKeyMissing", f"Secret {key.secret} has no key {key.key}; {key.variable} is taken from it"
        )
    return value


def _ends_at(value: bytes, key: SecretKey) -> datetime:
    """Read the PEM, or the base64 of it that DigitalOcean's interface returns."""
    pem = value
    if b"-----BEGIN" not in value:
        try:
            pem = base64.b64decode(value, validate=False)
        except binascii.Error:
            pem = b""
    try:
        return min(c.not_valid_after_utc for c in x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise _Problem("CertificateInvalid", f"{_place(key)} holds no certificate in PEM") from error
