"""Verdicts on API keys over a real PostgreSQL that also goes away."""

from collections.abc import Iterator

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection, open_pool
from signals.domain.access.scopes import Scope
from signals.errors import DependencyUnavailable
from signals.local.processes.ports import free_port
from signals.services.access.authentication import (
    MAX_STALE_S,
    NEGATIVE_S,
    KeyAuthenticator,
    KeyGranted,
    KeyRefused,
)
from signals.services.access.provisioning import ProvisioningRefused, create_project, issue_key, revoke_keys
from signals.settings import PostgresSettings
from tests.integration.core.conftest import Keys
from tests.support.events import TENANCY


class Clock:
    """A monotonic clock that tests set."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authenticator(pool: ConnectionPool[Connection], clock: Clock) -> KeyAuthenticator:
    return KeyAuthenticator(pool, cache_s=60, clock=clock)


@pytest.fixture
def dead_pool(database: PostgresSettings) -> Iterator[ConnectionPool[Connection]]:
    """A pool on a database that takes no connections any more."""
    address = f"postgresql://signals@127.0.0.1:{free_port()}/gone"
    with open_pool(PostgresSettings(database_url=address, pg_sslmode="disable"), size=1) as pool:
        pool.timeout = 0.2
        yield pool


def test_a_key_is_cached_after_its_first_lookup(authenticator: KeyAuthenticator, keys: Keys) -> None:
    assert authenticator.check_cached(keys.read) is None
    verdict = authenticator.check(keys.read)
    assert isinstance(verdict, KeyGranted)
    assert (verdict.tenancy, verdict.scope) == (TENANCY, Scope.READ)
    assert authenticator.check_cached(keys.read) == verdict


def test_scope_is_part_of_the_hash(authenticator: KeyAuthenticator, keys: Keys) -> None:
    forged = keys.ingest.replace("sig_ingest_", "sig_read_")
    assert authenticator.check(forged) == KeyRefused("unknown")


@pytest.mark.parametrize("key", [None, "", "sig_read_short", "x" * 52, "sig_owner_" + "a" * 43, "\ud800\x00"])
def test_malformed_key_is_refused_without_a_query(
    dead_pool: ConnectionPool[Connection], key: str | None
) -> None:
    assert isinstance(KeyAuthenticator(dead_pool).check(key), KeyRefused)


def test_a_revoked_key_works_until_its_verdict_expires(
    authenticator: KeyAuthenticator, pool: ConnectionPool[Connection], keys: Keys, clock: Clock
) -> None:
    assert isinstance(authenticator.check(keys.read), KeyGranted)
    assert revoke_keys(pool, project_id=TENANCY.project_id) == 3
    clock.now_s = 59.9
    assert isinstance(authenticator.check(keys.read), KeyGranted)
    clock.now_s = 60.1
    assert authenticator.check(keys.read) == KeyRefused("revoked")


def test_a_new_key_works_soon_after_it_was_tried_too_early(
    authenticator: KeyAuthenticator, pool: ConnectionPool[Connection], keys: Keys, clock: Clock
) -> None:
    with pool.connection() as connection:
        connection.execute("UPDATE project_api_keys SET key_hash = 'x' || key_hash")
    assert authenticator.check(keys.read) == KeyRefused("unknown")
    with pool.connection() as connection:
        connection.execute("UPDATE project_api_keys SET key_hash = substr(key_hash, 2)")
    assert authenticator.check(keys.read) == KeyRefused("unknown")
    clock.now_s = NEGATIVE_S + 0.1
    assert isinstance(authenticator.check(keys.read), KeyGranted)


def test_known_keys_outlive_an_outage_for_a_bounded_time(
    authenticator: KeyAuthenticator, dead_pool: ConnectionPool[Connection], keys: Keys, clock: Clock
) -> None:
    authenticator.check(keys.read)
    authenticator._pool = dead_pool
    clock.now_s = MAX_STALE_S - 1
    assert isinstance(authenticator.check(keys.read), KeyGranted)
    assert isinstance(authenticator.check_cached(keys.read), KeyGranted)  # no second wait at once
    with pytest.raises(DependencyUnavailable):
        authenticator.check(keys.ingest)
    clock.now_s = MAX_STALE_S + 10
    with pytest.raises(DependencyUnavailable):
        authenticator.check(keys.read)


def test_a_flood_of_wrong_keys_keeps_the_right_one_known(
    pool: ConnectionPool[Connection], keys: Keys
) -> None:
    authenticator = KeyAuthenticator(pool, max_verdicts=2)
    authenticator.check(keys.read)
    for number in range(10):
        assert authenticator.check(f"sig_read_{number:043d}") == KeyRefused("unknown")
    assert isinstance(authenticator.check_cached(keys.read), KeyGranted)


def test_use_is_written_lazily_and_survives_an_outage(
    authenticator: KeyAuthenticator,
    pool: ConnectionPool[Connection],
    dead_pool: ConnectionPool[Connection],
    keys: Keys,
) -> None:
    authenticator.check(keys.read)
    authenticator._pool = dead_pool
    with pytest.raises(DependencyUnavailable):
        authenticator.flush_last_used()
    authenticator._pool = pool
    assert authenticator.flush_last_used() == 1
    assert authenticator.flush_last_used() == 0


def test_a_key_is_shown_once_and_stored_as_a_hash(pool: ConnectionPool[Connection], keys: Keys) -> None:
    issued = issue_key(pool, TENANCY.project_id, Scope.READ)
    assert issued.text not in repr(issued)
    with pool.connection() as connection:
        stored = connection.execute("SELECT string_agg(k::text, ' ') FROM project_api_keys k").fetchone()
    assert stored is not None
    assert issued.text.removeprefix("sig_read_") not in str(stored[0])


def test_provisioning_names_the_missing_object(pool: ConnectionPool[Connection], keys: Keys) -> None:
    assert create_project(pool, TENANCY.project_id, org_id=TENANCY.org_id, name="again") is False
    with pytest.raises(ProvisioningRefused, match="no organisation nowhere"):
        create_project(pool, "proj_3", org_id="nowhere", name="lost")
    with pytest.raises(ProvisioningRefused, match="another organisation"):
        create_project(pool, TENANCY.project_id, org_id="org_2", name="stolen")
    with pytest.raises(ProvisioningRefused, match="no project nowhere"):
        issue_key(pool, "nowhere", Scope.READ)
    with pytest.raises(ProvisioningRefused, match="letters, digits"):
        create_project(pool, "a|b", org_id=TENANCY.org_id, name="odd")
