"""The targets of stored destinations: opened, changed, and sealed anew with another key."""

from collections.abc import Mapping
from typing import Any

from psycopg_pool import ConnectionPool
from pydantic import ValidationError

from signals.clients.postgres import Connection, transaction
from signals.clients.sealing import Seal
from signals.domain.notifications.targets import SENT_WITH, Target, parse_target, split
from signals.services.notifications.destination_bodies import DestinationRefused
from signals.store.notifications import destinations
from signals.store.notifications.destinations import StoredDestination


def open_target(seal: Seal, row: StoredDestination) -> Target:
    """Return the target of a stored destination, its secrets opened.

    Raises:
        SettingsError: when no key opens them.
    """
    secret = seal.open(row.secret) if row.secret is not None else {}
    return parse_target({**row.settings, **secret})


def changed_target(target: Target, fields: Mapping[str, Any]) -> Target:
    """Return the target with other fields; None removes one.

    Raises:
        DestinationRefused: naming the field at fault, or the secret that a new address needs again.
    """
    settings, secret = split(target)
    merged = {**settings, **secret, **fields}
    if merged["kind"] != target.kind:
        raise DestinationRefused("other_kind", "target.kind: it cannot change; create a new destination.")
    carried, places = SENT_WITH.get(target.kind, ("", frozenset[str]()))
    moved = [name for name in sorted(places) if merged.get(name) != settings.get(name)]
    if moved and secret.get(carried) and carried not in fields:
        place = f"target.{carried}"
        text = f"{place}: give it again, since {moved[0]} changes where it is sent."
        raise DestinationRefused("secret_needed", text, field=place)
    try:
        return parse_target({name: value for name, value in merged.items() if value is not None})
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in ("target", *fault["loc"]))
        raise DestinationRefused("invalid_body", f"{place}: {fault['msg']}.", field=place) from None


def rotate_secrets(pool: ConnectionPool[Connection], seal: Seal) -> int:
    """Seal every secret anew with the first key, in one transaction; return how many.

    Raises:
        SettingsError: when one cannot be opened; none is changed then.
        DependencyUnavailable: when PostgreSQL does not answer.
    """
    with transaction(pool) as connection:
        rows = destinations.sealed(connection)
        for destination_id, secret in rows:
            destinations.reseal(connection, destination_id, seal.rotate(secret))
    return len(rows)
