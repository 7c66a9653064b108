"""A storm of incidents: a chat gets few messages and edits, and soon the newest state."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Final

import pytest
from cryptography.fernet import Fernet, MultiFernet
from psycopg_pool import ConnectionPool

from signals.clients.outbound.senders import Sender
from signals.clients.postgres import Connection
from signals.clients.sealing import Seal
from signals.services.access.provisioning import create_org, create_project
from signals.settings import PostgresSettings
from tests.integration.incidents.shop import Shop
from tests.integration.notifications.conftest import LOOPBACK, World
from tests.support.events import TENANCY
from tests.support.receivers import HttpReceiver, http_receiver
from tests.support.waiting import pause, until
from tests.system.faults.table import FaultRow
from tests.system.faults.test_notifiers import KEY, notifiers

pytestmark = [pytest.mark.faults]

INCIDENTS: Final = 1_000
LASTS_S: Final = 60.0
AT_ONCE: Final = 10  # incidents of one transaction
MOST_POSTS: Final = 6
MOST_EDITS: Final = 20
TOLD_WITHIN_S: Final = 15.0


def test_storm_of_a_thousand_incidents_is_few_messages(
    pool: ConnectionPool[Connection], database: PostgresSettings, fault_row: Callable[[str], FaultRow]
) -> None:
    row = fault_row("1,000 incidents within 60 s: messages at a chat")
    create_org(pool, TENANCY.org_id, "An organisation")
    create_project(pool, TENANCY.project_id, org_id=TENANCY.org_id, name="A project")
    seal = Seal(MultiFernet([Fernet(KEY)]))
    world, shop = World(pool=pool, seal=seal, sender=Sender(LOOPBACK, timeout_s=2)), Shop(pool, noon=_now())
    shop.round()
    with http_receiver() as chat, notifiers(database):
        world.slack(chat)
        began = monotonic()
        for part in range(INCIDENTS // AT_ONCE):
            shop.opens(*(f"CODE{part % 7}|/p{part}x{number}|prod" for number in range(AT_ONCE)))
            pause(max(0.0, began + LASTS_S * (part + 1) / (INCIDENTS // AT_ONCE) - monotonic()))
        last = monotonic()
        until(lambda: _tells_all(chat), within_s=120)
        took_s = monotonic() - last
        until(world.is_quiet, within_s=60)
    posts = sum(got.path.endswith("postMessage") for got in chat.accepted)
    edits = len(chat.accepted) - posts
    row.injected += INCIDENTS
    row.judged(acknowledged=INCIDENTS, lost=0, double=0)
    print(f"{posts} messages, {edits} edits, all told {took_s:.1f} s after the last incident")
    assert posts <= MOST_POSTS
    assert edits <= MOST_EDITS * max(1.0, (last - began) / LASTS_S)  # a slow machine storms for longer
    assert took_s <= TOLD_WITHIN_S * max(1.0, (last - began) / LASTS_S)


def _now() -> datetime:
    """Return this minute: what was over for hours rings nowhere."""
    return datetime.now(UTC).replace(second=0, microsecond=0)


def _tells_all(chat: HttpReceiver) -> bool:
    return any(f"{INCIDENTS} incidents" in str(got.json["blocks"]) for got in chat.accepted[-3:])
