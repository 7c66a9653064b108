"""CA certificates given as a path or as PEM text."""

import atexit
import os
import tempfile
from pathlib import Path

from signals.errors import SettingsError

PEM_MARK = "-----BEGIN CERTIFICATE-----"


def ca_pem(variable: str, value: str) -> str:
    """Return the PEM text behind `value` (itself PEM text, or a path).

    Raises:
        SettingsError: naming `variable`, when the path cannot be read or holds no certificate.
    """
    text = value.replace("\\n", "\n")
    if PEM_MARK in text:
        return text
    try:
        text = Path(value).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}: neither PEM text nor a readable PEM file ({error})") from error
    if PEM_MARK not in text:
        raise SettingsError(f"{variable}: {value} holds no PEM certificate")
    return text


def ca_file(variable: str, value: str) -> str:
    """Return a path for libraries that want a file; PEM text goes to a private file of this process.

    Raises:
        SettingsError: naming `variable`.
    """
    pem = ca_pem(variable, value)
    if PEM_MARK not in value:
        return value
    handle, path = tempfile.mkstemp(prefix="signals-ca-", suffix=".pem")  # mkstemp creates it 0600
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(pem)
    atexit.register(Path(path).unlink, missing_ok=True)
    return path
