"""Seals secrets at rest: Fernet with several keys, of which the first seals and all open.

Source: https://cryptography.io/en/latest/fernet/#cryptography.fernet.MultiFernet
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from signals.errors import SettingsError
from signals.settings import NotificationSettings

MISSING: Final = (
    "SIGNALS_SECRET_KEYS is not set, so that no secret can be stored or read; "
    "`signals secrets new-key` prints a key"
)


class Seal:
    """Seals and opens secrets; without a key neither is possible."""

    def __init__(self, keys: MultiFernet | None) -> None:
        self._keys = keys

    def seal(self, secret: Mapping[str, Any]) -> bytes:
        """Return the sealed JSON object.

        Raises:
            SettingsError: when no key is set.
        """
        return self._required().encrypt(orjson.dumps(dict(secret)))

    def open(self, sealed: bytes) -> dict[str, Any]:
        """Return what was sealed.

        Raises:
            SettingsError: when none of the keys fits, or none is set.
        """
        try:
            opened: dict[str, Any] = orjson.loads(self._required().decrypt(bytes(sealed)))
        except InvalidToken as error:
            raise SettingsError(
                "SIGNALS_SECRET_KEYS: none of the keys opens a stored secret; add the key that sealed it"
            ) from error
        return opened

    def rotate(self, sealed: bytes) -> bytes:
        """Return the same secret, sealed with the first key.

        Raises:
            SettingsError: as `open` does.
        """
        return self.seal(self.open(sealed))

    def _required(self) -> MultiFernet:
        if self._keys is None:
            raise SettingsError(MISSING)
        return self._keys


def open_seal(settings: NotificationSettings) -> Seal:
    """Return the seal of the configured keys.

    Raises:
        SettingsError: when a key is none.
    """
    given = settings.signals_secret_keys
    texts = [part.strip() for part in given.get_secret_value().split(",") if part.strip()] if given else []
    try:
        keys = [Fernet(text) for text in texts]
    except ValueError as error:  # also binascii.Error; its text could quote the key
        del error
        raise SettingsError(
            "SIGNALS_SECRET_KEYS: a key is 32 bytes in url-safe base64; `signals secrets new-key` prints one"
        ) from None
    return Seal(MultiFernet(keys) if keys else None)


def new_key() -> str:
    """Return a new random key."""
    return Fernet.generate_key().decode()


def seal_for(holder: str, secret: Mapping[str, Any]) -> str:
    """Return a JSON object that only the holder of a random text of 256 bits can open, or make."""
    return Fernet(_key_of(holder)).encrypt(orjson.dumps(dict(secret))).decode()


def open_for(holder: str, sealed: str, *, lasts_s: int) -> dict[str, Any] | None:
    """Return what `seal_for` sealed at most `lasts_s` seconds ago, None for anything else."""
    try:
        opened: dict[str, Any] = orjson.loads(Fernet(_key_of(holder)).decrypt(sealed, ttl=lasts_s))
    except InvalidToken:
        return None
    return opened


def _key_of(holder: str) -> bytes:
    """Return the Fernet key of a holder; the prefix makes it differ from hashes of the same text."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"seal for the holder of {holder}".encode()).digest())
