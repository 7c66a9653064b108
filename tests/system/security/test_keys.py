"""Keys: two valid ones of a scope for rotation, revoked in time, kept as hashes only."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.domain.access.api_keys import key_hash
from signals.domain.access.scopes import FORMS, Scope
from signals.services.access.authentication import KeyAuthenticator, KeyGranted, KeyRefused
from signals.services.access.provisioning import (
    IssuedKey,
    ProvisioningRefused,
    create_org,
    create_project,
    issue_key,
    revoke_keys,
)

Pool = ConnectionPool[Connection]


@pytest.fixture
def project(pool: Pool) -> str:
    """A project without keys."""
    create_org(pool, "acme", "Acme")
    create_project(pool, "web", org_id="acme", name="Web")
    return "web"


def test_third_key_of_a_scope_is_refused_and_names_the_two(pool: Pool, project: str) -> None:
    first, second = (issue_key(pool, project, Scope.INGEST) for _ in range(FORMS[Scope.INGEST].max_valid))
    with pytest.raises(ProvisioningRefused) as refusal:
        issue_key(pool, project, Scope.INGEST)
    assert f"{first.key_id} (never used) and {second.key_id} (never used)" in str(refusal.value)
    assert "signals keys revoke" in str(refusal.value)
    issue_key(pool, project, Scope.READ)  # the other scope has room of its own
    assert revoke_keys(pool, key_id=first.key_id) == 1
    issue_key(pool, project, Scope.INGEST)


def test_concurrent_requests_never_create_a_third_key(pool: Pool, project: str) -> None:
    def attempt(_: int) -> IssuedKey | ProvisioningRefused:
        try:
            return issue_key(pool, project, Scope.READ)
        except ProvisioningRefused as refusal:
            return refusal

    with ThreadPoolExecutor(max_workers=4) as threads:
        outcomes = list(threads.map(attempt, range(16)))
    assert sum(isinstance(outcome, IssuedKey) for outcome in outcomes) == FORMS[Scope.READ].max_valid


def test_rotation_ends_the_older_of_two_keys(pool: Pool, project: str) -> None:
    old = issue_key(pool, project, Scope.READ)
    current = issue_key(pool, project, Scope.READ, ending_oldest=True)
    authenticator = KeyAuthenticator(pool)
    assert isinstance(authenticator.check(old.text), KeyGranted)  # both work until every client has changed
    newest = issue_key(pool, project, Scope.READ, ending_oldest=True)
    assert KeyAuthenticator(pool).check(old.text) == KeyRefused("revoked")
    for key in (current, newest):
        assert isinstance(authenticator.check(key.text), KeyGranted)


def test_revocation_reaches_every_process_within_its_cache_time(pool: Pool, project: str) -> None:
    key = issue_key(pool, project, Scope.READ).text
    now_s = 0.0
    replicas = [KeyAuthenticator(pool, cache_s=cache_s, clock=lambda: now_s) for cache_s in (5, 60)]
    for replica in replicas:
        assert isinstance(replica.check(key), KeyGranted)
    assert revoke_keys(pool, project_id=project) == 1
    now_s = 4.9
    assert all(isinstance(replica.check(key), KeyGranted) for replica in replicas)
    now_s = 5.0
    assert replicas[0].check(key) == KeyRefused("revoked")
    now_s = 60.0
    assert replicas[1].check(key) == KeyRefused("revoked")


def test_use_does_not_prolong_a_cached_verdict(pool: Pool, project: str) -> None:
    key = issue_key(pool, project, Scope.READ).text
    now_s = 0.0
    replica = KeyAuthenticator(pool, cache_s=60, clock=lambda: now_s)
    replica.check(key)
    revoke_keys(pool, project_id=project)
    for second in range(60):
        now_s = float(second)
        assert isinstance(replica.check(key), KeyGranted)
    now_s = 60.0
    assert replica.check(key) == KeyRefused("revoked")


def test_key_of_a_deleted_or_unknown_project_is_refused(pool: Pool, project: str) -> None:
    deleted = issue_key(pool, project, Scope.READ)
    orphan = "sig_read_" + "o" * 43
    with pool.connection() as connection:
        connection.execute("DELETE FROM project_api_keys WHERE id = %s", [deleted.key_id])
        connection.execute("DELETE FROM projects WHERE id = %s", [project])
        connection.execute(
            "INSERT INTO project_api_keys (id, key_hash, created_at) VALUES (%s, %s, now())",
            [uuid4(), key_hash(orphan)],
        )
    authenticator = KeyAuthenticator(pool)
    assert authenticator.check(deleted.text) == KeyRefused("unknown")
    assert authenticator.check(orphan) == KeyRefused("unknown")


def test_last_use_is_written_on_flush_for_used_keys_only(pool: Pool, project: str) -> None:
    used, idle = (issue_key(pool, project, Scope.READ) for _ in range(2))
    authenticator = KeyAuthenticator(pool)

    def last_used() -> set[object]:
        with pool.connection() as connection:
            rows = connection.execute("SELECT id FROM project_api_keys WHERE last_used_at IS NOT NULL")
            return {key_id for (key_id,) in rows}

    for _ in range(3):
        authenticator.check(used.text)
    assert last_used() == set()
    assert authenticator.flush_last_used() == 1
    assert last_used() == {used.key_id}
    assert idle.key_id not in last_used()


def test_nothing_in_the_database_holds_a_key(pool: Pool, project: str) -> None:
    issued = [issue_key(pool, project, scope) for scope in Scope]
    with pool.connection() as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
            "WHERE schemaname IN ('public', 'pipeline')"
        ).fetchall()
        dump = "".join(
            str(connection.execute(f"SELECT string_agg(t::text, ' ') FROM {table} t").fetchone())
            for (table,) in tables
        )
    for key in issued:
        secret = key.text[-43:]
        assert key_hash(key.text) in dump
        assert secret not in dump
        assert key.text not in repr(key)
