"""CA certificates given as a path or as PEM text, plain or in base64 as DigitalOcean's API has it."""

import atexit
import base64
import binascii
import os
import ssl
import tempfile
from pathlib import Path

from signals.errors import SettingsError

PEM_MARK = "-----BEGIN CERTIFICATE-----"


def ca_pem(variable: str, value: str) -> str:
    """Return the PEM text behind `value` (itself PEM text, perhaps in base64, or a path).

    Raises:
        SettingsError: naming `variable`, when the path cannot be read or no certificate can be.
    """
    text = _inline(value) or _read(variable, value)
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError) as error:  # ValueError: not ASCII
        raise SettingsError(f"{variable}: its PEM text is damaged; copy the whole certificate") from error
    return text


def ca_file(variable: str, value: str) -> str:
    """Return a path for libraries that want a file; PEM text goes to a private file of this process.

    Raises:
        SettingsError: naming `variable`.
    """
    pem = ca_pem(variable, value)
    if not _inline(value):
        return value
    handle, path = tempfile.mkstemp(prefix="signals-ca-", suffix=".pem")  # mkstemp creates it 0600
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(pem)
    atexit.register(Path(path).unlink, missing_ok=True)
    return path


def _inline(value: str) -> str:
    """Return the PEM text that `value` is, empty when it is none."""
    text = value.replace("\\n", "\n")
    if PEM_MARK in text:
        return text
    try:
        decoded = base64.b64decode("".join(value.split()), validate=True).decode("ascii")
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        return ""
    return decoded if PEM_MARK in decoded else ""


def _read(variable: str, value: str) -> str:
    if "-----" in value or "\n" in value:  # perhaps a private key: never to be repeated in a message
        raise SettingsError(f"{variable}: this PEM text holds no certificate")
    try:
        text = Path(value).read_text(encoding="ascii")
    except (OSError, ValueError) as error:  # ValueError: not ASCII, or no possible path
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise SettingsError(f"{variable}: cannot read {value} ({reason}): set a path or PEM text") from error
    if PEM_MARK not in text:
        raise SettingsError(f"{variable}: {value} holds no PEM certificate")
    return text
