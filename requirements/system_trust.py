"""Runs a command so that pip and uv trust the system's certificates: `python system_trust.py COMMAND ...`.

A proxy that re-signs TLS is known to the system only; pip before 24.2 and uv trust lists of their own.
What a person has configured stays as it is. Uses the standard library alone: nothing is installed yet.
"""

import os
import re
import ssl
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

CANDIDATES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",
)
"""Where systems keep their certificates; OpenSSL's own default is asked first."""


def certificates_path() -> str | None:
    """Return the file with the system's certificates, or None where there is none, as on macOS."""
    default = ssl.get_default_verify_paths().cafile
    found = [path for path in (default, *CANDIDATES) if path and Path(path).is_file()]
    return found[0] if found else None


def variables(environ: Mapping[str, str], pip_settings: str) -> dict[str, str]:
    """Return the variables to add; `pip_settings` is what `pip config list` prints."""
    path = certificates_path()
    added = {}
    if path or sys.platform == "darwin":  # without any, uv's own list is better than nothing
        added["UV_SYSTEM_CERTS"] = "1"
    if path and not re.search(r"^\S+\.cert=", pip_settings, re.MULTILINE):
        added["PIP_CERT"] = path
    return {name: value for name, value in added.items() if name not in environ}


if __name__ == "__main__":
    settings = (sys.executable, "-m", "pip", "config", "list")
    listed = subprocess.run(settings, check=False, capture_output=True, text=True)
    environment = {**os.environ, **variables(os.environ, listed.stdout)}
    os.execvpe(sys.argv[1], sys.argv[1:], environment)  # noqa: S606  # the command that make names
