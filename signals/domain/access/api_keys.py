"""The form of an API key and of its stored hash: a scope prefix, 256 random bits, SHA-256 of the whole.

Keys are found by their hash, so no comparison takes longer the more of a key is guessed: who guesses sees
how long hashes of his own choosing take to look up, and cannot choose a hash.
"""

import base64
import hashlib
import re
from enum import StrEnum
from typing import Final

SECRET_BYTES: Final = 32  # 256 bits: a plain SHA-256 needs no salt and no stretching
MAX_VALID: Final = (
    2  # of a project and scope: the one in use, and the one to change to (docs/concepts/access.md)
)


class Scope(StrEnum):
    """The permitted use of a key; it is part of the key's text, so the hash covers it."""

    INGEST = "ingest"
    READ = "read"


_FORM: Final = re.compile(rf"sig_({'|'.join(Scope)})_[A-Za-z0-9_-]{{43}}", re.ASCII)


def key_text(scope: Scope, secret: bytes) -> str:
    """Write the key for `SECRET_BYTES` random bytes."""
    return f"sig_{scope}_{base64.urlsafe_b64encode(secret).rstrip(b'=').decode('ascii')}"


def key_hash(key: str) -> str:
    """Return what is stored instead of the key: SHA-256 of the whole text in hex."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def scope_of(key: str) -> Scope | None:
    """Return the scope that the key's text claims, None when it cannot be one of our keys."""
    match = _FORM.fullmatch(key)
    return Scope(match.group(1)) if match else None
