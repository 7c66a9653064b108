"""Renews a replica's connections after a rotation of secrets; requests notice nothing."""

import threading
from collections.abc import Callable, Mapping
from typing import Self

import structlog

from signals.errors import DependencyUnavailable, SettingsError
from signals.rotation import CHECK_S, Kind, Rotation

log = structlog.get_logger(__name__)


class Rotating:
    """Looks every few seconds, in a thread of its own, for changed settings of these kinds.

    A renewal that fails leaves the old connections in use, and is tried again.
    """

    def __init__(self, rotation: Rotation, renewals: Mapping[Kind, Callable[[], None]]) -> None:
        self._rotation = rotation
        self._renewals = renewals
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rotation", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()

    def round(self) -> None:
        """Look once."""
        for kind, reading in self._rotation.changed().items():
            try:
                self._renewals[kind]()
            except (DependencyUnavailable, SettingsError) as error:
                log.warning("rotation waits", settings=kind.__name__, reason=str(error))
                continue
            self._rotation.take(kind, reading)
            log.info("connections renewed", settings=kind.__name__)

    def _run(self) -> None:
        while not self._stopping.wait(CHECK_S):
            self.round()
