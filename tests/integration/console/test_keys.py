"""A key is shown once, works within its limits, and ends; a project has two valid ones of a scope."""

import re

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from signals.services.access.authentication import KeyAuthenticator, KeyGranted, KeyRefused
from tests.integration.console.conftest import BASE, Visitor

Pool = ConnectionPool[Connection]


def test_key_is_shown_once_works_and_ends(visitor: Visitor, pool: Pool) -> None:
    admin = visitor(Role.ADMIN)
    created = admin.post(f"{BASE}/settings/create-key", data={"scope": "ingest"}, follow_redirects=True)
    found = re.search(r'<pre id="new-key"[^>]*>(sig_ingest_[^<]+)</pre>', created.text)
    assert found is not None
    key = found[1]
    assert f"Bearer {key}" in created.text  # the line to paste has it
    assert key not in admin.get(f"{BASE}/settings").text
    granted = KeyAuthenticator(pool).check(key)
    assert isinstance(granted, KeyGranted)
    named = {"key": str(granted.key_id)}
    limits = named | {"events_per_second": "50", "events_per_day": ""}
    assert admin.post(f"{BASE}/settings/limit-key", data=limits).status_code == 303
    limited = KeyAuthenticator(pool).check(key)
    assert isinstance(limited, KeyGranted)
    assert limited.limits.events_per_second == 50
    refused = admin.post(f"{BASE}/settings/limit-key", data=named | {"events_per_second": "many"})
    assert refused.status_code == 422
    assert "whole number" in refused.text
    assert admin.post(f"{BASE}/settings/revoke-key", data=named).status_code == 303
    assert KeyAuthenticator(pool).check(key) == KeyRefused("revoked")
    page = admin.get(f"{BASE}/settings").text
    for verb in ("ingest key created", "key limited", "key revoked"):
        assert verb in page


def test_third_key_is_refused_with_the_remedy(visitor: Visitor) -> None:
    admin = visitor(Role.ADMIN)
    answers = [admin.post(f"{BASE}/settings/create-key", data={"scope": "read"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [303, 303, 422]
    refusal = answers[-1].text
    assert "This project has 2 valid keys of scope read" in refusal
    named = re.findall(r"([0-9a-f]{8}… )\(never used\)", refusal)
    assert {f">{one.strip()}<" in refusal for one in named} == {True}  # as the list names them
    assert "signals keys revoke" not in refusal
