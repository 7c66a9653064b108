"""The page of doors fills lines in with a new key, and shows what became no event."""

import re

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, transaction
from signals.domain.access.people import Role
from signals.services.access.authentication import KeyAuthenticator, KeyGranted
from tests.integration.console.conftest import ADDRESS, BASE, Visitor
from tests.support.console_world import World

Pool = ConnectionPool[Connection]
ENTER = """
INSERT INTO pipeline.ledger (project_id, minute_at, stage, outcome, partition, events)
VALUES (%s, date_trunc('minute', now()), 'ingest-api', %s, -1, %s)
"""


def test_new_key_stands_in_every_line_once(visitor: Visitor, pool: Pool, world: World) -> None:
    admin = visitor(Role.ADMIN)
    page = admin.post(f"{BASE}/send/create-key", data={"for": "servers"}, follow_redirects=True).text
    found = re.search(r'<pre id="new-key"[^>]*>(sig_ingest_[^<]+)</pre>', page)
    assert found is not None
    assert isinstance(KeyAuthenticator(pool).check(found[1]), KeyGranted)
    host = ADDRESS.removeprefix("http://")
    assert f">http://{found[1]}@{host}/v1/events/sentry/1</pre>" in page  # what Copy takes: no label
    assert f"OTEL_EXPORTER_OTLP_ENDPOINT={ADDRESS}/v1/events/otlp" in page
    assert f"Bearer {found[1]}&#34;" in page  # of a plain event by curl
    waits = re.search(r'data-arrivals="([^"]+)"', page)
    assert waits is not None
    assert "Waiting for a first use of the key" in admin.get(waits[1]).text
    with transaction(pool) as connection:
        connection.execute("UPDATE project_api_keys SET last_used_at = now()")
    assert "data-arrived" in admin.get(waits[1]).text
    theirs = visitor(Role.ADMIN, org_id="org_2")
    assert "data-arrived" not in theirs.get(waits[1].replace("/p/shop/", "/p/proj_2/")).text
    assert admin.get(f"{BASE}/arrivals?key=none").status_code == 400
    later = admin.get(f"{BASE}/send").text
    assert found[1] not in later
    assert ">http://$PROJECT_API_KEY@" in later


def test_public_key_needs_an_origin_that_is_one(visitor: Visitor, pool: Pool, world: World) -> None:
    admin = visitor(Role.ADMIN)
    refused = admin.post(f"{BASE}/send/create-key", data={"for": "pages", "origins": "https://"})
    assert refused.status_code == 422
    assert "is no origin" in refused.text
    given = {"for": "pages", "origins": "https://shop.example, https://*.shop.example"}
    made = admin.post(f"{BASE}/send/create-key", data=given, follow_redirects=True)
    assert made.text.count("sig_public_") > 1
    with pool.connection() as connection:
        rows = connection.execute("SELECT origins FROM pipeline.public_keys").fetchall()
    assert len(rows) == 1


def test_page_shows_what_became_no_event(visitor: Visitor, pool: Pool, world: World) -> None:
    with transaction(pool) as connection:
        connection.execute(ENTER, ["shop", "ignored:sentry:type of item profile", 12])
        connection.execute(ENTER, ["other", "refused:otlp:their secret", 3])
        connection.execute(ENTER, ["", "refused:sentry:unknown key a1b2", 7])
    page = visitor(Role.ADMIN).get(f"{BASE}/send").text
    assert "type of item profile" in page
    assert "unknown key a1b2" in page
    assert "their secret" not in page
    reader = visitor(Role.VIEWER).get(f"{BASE}/send").text
    assert "type of item profile" in reader
    assert "unknown key" not in reader
