"""Notices that settings read otherwise than they did: a secret or a CA in a mounted file was changed."""

from collections.abc import Iterable
from typing import Final

import structlog

from signals.errors import SettingsError
from signals.secret_files import file_bytes
from signals.settings import EnvironmentSettings

CHECK_S: Final = 5.0  # kubelet itself brings a changed Secret into a pod within about a minute

SettingsKind = type[EnvironmentSettings]
SettingsReading = tuple[EnvironmentSettings, bytes]
"""The settings, and what is in the CA file that they name."""

log = structlog.get_logger(__name__)


class Rotation:
    """Compares how some kinds of settings read with how they read at first, or when last taken.

    Make it before the settings are read that connections are opened with: then no change is missed.
    """

    def __init__(self, kinds: Iterable[SettingsKind]) -> None:
        self._taken = {kind: _read(kind) for kind in kinds}

    def changed(self) -> dict[SettingsKind, SettingsReading]:
        """Return what reads otherwise; settings that cannot be read now are no reason to give old ones up."""
        readings = {kind: _read(kind) for kind in self._taken}
        return {kind: now for kind, now in readings.items() if now is not None and now != self._taken[kind]}

    def take(self, kind: SettingsKind, reading: SettingsReading) -> None:
        """Compare with this reading from now on."""
        self._taken[kind] = reading


def _read(kind: SettingsKind) -> SettingsReading | None:
    try:
        settings = kind.from_env()
    except SettingsError as error:
        log.warning("settings not readable", reason=str(error))
        return None
    paths = [value for name, value in settings if name.endswith("_ca_cert") and value]
    return settings, b"".join(map(file_bytes, paths))
