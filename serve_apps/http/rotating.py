"""Renews a replica's connections after a rotation of secrets; requests notice nothing."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial

import structlog

from signals.errors import DependencyUnavailable, SettingsError
from signals.periodic import repeated
from signals.rotation import CHECK_S, Rotation, SettingsKind

log = structlog.get_logger(__name__)

Renewals = Mapping[SettingsKind, Callable[[], None]]


def renewed(rotation: Rotation, renewals: Renewals) -> AbstractContextManager[None]:
    """Compare settings every few seconds inside the block, and renew the connections of those that changed.

    A renewal that fails leaves the old connections in use, and is tried again.
    """
    return repeated(partial(_renew_changed, rotation, renewals), every_s=CHECK_S, name="rotation of secrets")


def _renew_changed(rotation: Rotation, renewals: Renewals) -> None:
    for kind, reading in rotation.changed().items():
        try:
            renewals[kind]()
        except (DependencyUnavailable, SettingsError) as error:
            log.warning("rotation waits", settings=kind.__name__, reason=str(error))
            continue
        rotation.take(kind, reading)
        log.info("connections renewed", settings=kind.__name__)
