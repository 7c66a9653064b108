"""The form of an API key and of its stored hash: a scope prefix, 256 random bits, SHA-256 of the whole.

Keys are found by their hash, so no comparison takes longer the more of a key is guessed: who guesses sees
how long hashes of his own choosing take to look up, and cannot choose a hash.
"""

import base64
import hashlib
import re
from typing import Final

from signals.domain.access.scopes import FORMS, Scope

SECRET_BYTES: Final = 32  # 256 bits: a plain SHA-256 needs no salt and no stretching
SHOWN_CHARS: Final = 4  # of a wrong key's secret: enough to find the typing error, no help to a guesser

_FORM: Final = re.compile(
    "|".join(rf"sig_(?P<{scope}>{scope})_{form.pattern}" for scope, form in FORMS.items()), re.ASCII
)
_PREFIX: Final = re.compile(rf"sig_(?:{'|'.join(Scope)}|user)_", re.ASCII)
_PERSON_FORM: Final = re.compile(r"sig_user_[A-Za-z0-9_-]{43}", re.ASCII)
_UNPRINTABLE: Final = re.compile(r"[^A-Za-z0-9_-]")


def key_text(scope: Scope, secret: bytes) -> str:
    """Write the key for `SECRET_BYTES` random bytes; a public one in hex, so that it fits every DSN."""
    if scope is Scope.PUBLIC:
        return f"sig_{scope}_{secret.hex()}"
    return f"sig_{scope}_{base64.urlsafe_b64encode(secret).rstrip(b'=').decode('ascii')}"


def key_hash(key: str) -> str:
    """Return what is stored instead of the key: SHA-256 of the whole text in hex."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def scope_of(key: str) -> Scope | None:
    """Return the scope that the key's text claims, None when it cannot be one of our keys."""
    match = _FORM.fullmatch(key)
    return Scope(str(match.lastgroup)) if match else None


def person_token_text(secret: bytes) -> str:
    """Write the token with which a person's programs use the API, for `SECRET_BYTES` random bytes."""
    return f"sig_user_{base64.urlsafe_b64encode(secret).rstrip(b'=').decode('ascii')}"


def is_person_token(key: str) -> bool:
    """Tell whether a text can be the token of a person; `key_hash` is stored of it, too."""
    return _PERSON_FORM.fullmatch(key) is not None


def key_hint(key: str) -> str:
    """Return the beginning of a key that is unknown, for its owner to recognise: `sig_ingest_aB3x…`."""
    match = _PREFIX.match(key)
    shown = (match.end() if match else 0) + SHOWN_CHARS
    return _UNPRINTABLE.sub("?", key[:shown]) + "…"
