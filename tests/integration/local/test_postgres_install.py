"""Which PostgreSQL is taken, and that the downloaded one works."""

import os
from pathlib import Path

import psycopg
import pytest
from rich.console import Console

from signals.local.errors import LocalStackError
from signals.local.processes.account import account_to_drop_to
from signals.local.progress import DownloadProgress
from signals.local.servers import postgres_install
from signals.local.servers.artifacts import ArtifactCache
from signals.local.servers.postgres_install import PostgresSearch, find_installation
from signals.local.stack import ephemeral

NOWHERE = PostgresSearch(pg_bindir=None, path="/nonexistent")


@pytest.fixture
def cache(tmp_path: Path) -> ArtifactCache:
    return ArtifactCache(folder=tmp_path, mirror=None, progress=DownloadProgress(console=Console(quiet=True)))


def test_downloaded_server_runs_where_none_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_install, "SYSTEM_FOLDERS", ())
    kept = {
        name: os.environ[name]
        for name in ("HOME", "SIGNALS_CACHE_DIR", "SIGNALS_MAVEN_MIRROR")
        if name in os.environ
    }
    with (
        ephemeral(tmp_path / "stack", servers=("postgres",), environ=kept | {"PATH": NOWHERE.path}) as stack,
        psycopg.connect(stack.environment["DATABASE_URL"]) as connection,
    ):
        row = connection.execute("SELECT current_setting('server_version'), lower('ÄÖ')").fetchone()
    assert row == ("18.4", "äö")


def test_folder_without_programs_is_refused(cache: ArtifactCache, tmp_path: Path) -> None:
    search = PostgresSearch(pg_bindir=str(tmp_path), path="")
    with pytest.raises(LocalStackError, match=f"^PG_BINDIR={tmp_path} holds no PostgreSQL 14 or newer"):
        find_installation(search, cache, account_to_drop_to(), None)


def test_data_of_another_version_needs_that_version(cache: ArtifactCache, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("initdb", "postgres"):
        (programs / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 16.2'\n")
        (programs / name).chmod(0o755)
    search = PostgresSearch(pg_bindir=str(programs), path="")
    assert find_installation(search, cache, None, 16).major == 16
    with pytest.raises(LocalStackError, match="was made by PostgreSQL 15, which is not found: set PG_BINDIR"):
        find_installation(search, cache, None, 15)
