"""A backup of a stopped stack holds what its three servers stored, and becomes a stack elsewhere."""

import io
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import psycopg
import pytest
from rich.console import Console
from typer.testing import CliRunner

from signals.cli.stack import app
from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.connection import ensure_topics
from signals.clients.kafka.log_ends import log_ends
from signals.clients.kafka.publisher import OutgoingRecord, open_publisher
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import open_client
from signals.clients.opensearch.index import bulk_create, ensure_index
from signals.local import stack
from signals.local.backup import backup, restore
from signals.local.errors import LocalStackError
from signals.local.folder import StackFolder
from signals.settings import KafkaSettings, OpenSearchSettings

RECORDS: Final = 7


def up(root: Path) -> Mapping[str, str]:
    """Start a stack of its own in the folder; its ports are free ones."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SIGNALS_CACHE_DIR") if name in os.environ}
    running = stack.up(root, environ=kept, console=Console(file=io.StringIO()))
    assert set(running.started) == set(stack.SERVERS)
    return running.environment


def fill(environment: Mapping[str, str]) -> None:
    """Store a row, some records and a document."""
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    kafka = KafkaSettings(kafka_brokers=environment["KAFKA_BROKERS"])
    ensure_topics(kafka)
    with open_publisher(kafka) as publisher:
        records = [OutgoingRecord(key=b"k", value=b"v") for _ in range(RECORDS)]
        publisher.publish_and_wait(RAW_TOPIC, records)
    with open_client(OpenSearchSettings(opensearch_url=environment["OPENSEARCH_URL"])) as client:
        ensure_index(client)
        bulk_create(client, [("one", b'{"message": "kept"}')])


def stored(environment: Mapping[str, str]) -> tuple[object, int, int]:
    """Return the row, the number of records, and of documents."""
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        row = connection.execute("SELECT answer FROM kept").fetchone()
    ends = log_ends(KafkaSettings(kafka_brokers=environment["KAFKA_BROKERS"]), RAW_TOPIC)
    with open_client(OpenSearchSettings(opensearch_url=environment["OPENSEARCH_URL"])) as client:
        client.indices.refresh(index=EVENTS_INDEX)
        documents = client.count(index=EVENTS_INDEX)["count"]
    return row, sum(ends.values()), documents


@pytest.fixture
def roots(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """The folders of two stacks, wiped at the end."""
    found = tmp_path / "one" / ".signals", tmp_path / "two" / ".signals"
    yield found
    for root in found:
        if StackFolder(root=root).is_stack():
            stack.reset(root)


def test_restored_stack_holds_what_was_stored(roots: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = roots
    file = tmp_path / "signals.tar.gz"
    environment = up(first)
    fill(environment)
    before = stored(environment)
    assert before == ((42,), RECORDS, 1)
    with pytest.raises(LocalStackError, match=r"postgres.* still run: `signals down` first"):
        backup(first, file)
    assert list(tmp_path.glob("*.gz*")) == []
    stack.down(first)
    shown = CliRunner().invoke(app, ["backup", str(file), "--folder", str(first)])
    assert shown.exit_code == 0, shown.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(LocalStackError, match="choose another name"):
        backup(first, file)
    with pytest.raises(LocalStackError, match="holds a stack"):
        restore(first, file)
    stack.reset(first)
    shown = CliRunner().invoke(app, ["restore", str(file), "--folder", str(second)])
    assert shown.exit_code == 0, shown.output
    after = up(second)
    assert stored(after) == before
    assert after["DATABASE_URL"].split("@")[0] == environment["DATABASE_URL"].split("@")[0]  # the password


def archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """Write a backup with these members after those that each has."""
    with tarfile.open(path, "w:gz") as file:
        for name in ("state.json", "env"):
            file.addfile(tarfile.TarInfo(name))
        folder = tarfile.TarInfo("data")
        folder.type = tarfile.DIRTYPE
        file.addfile(folder)
        for info, content in members:
            file.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("data/../../outside", tarfile.REGTYPE),
        ("/etc/outside", tarfile.REGTYPE),
        ("data/link", tarfile.SYMTYPE),
        ("env", tarfile.SYMTYPE),
        ("data/device", tarfile.CHRTYPE),
        ("logs/x", tarfile.REGTYPE),
    ],
)
def test_archive_that_no_stack_wrote_is_refused(tmp_path: Path, name: str, kind: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    file = archive(tmp_path / "odd.tar.gz", (info, b""))
    root = tmp_path / "deep" / "er" / ".signals"
    with pytest.raises(LocalStackError, match="no whole backup"):
        restore(root, file)
    assert not root.exists()
    assert not (tmp_path / "deep" / "outside").exists()


def test_half_a_file_and_another_format_are_refused(tmp_path: Path) -> None:
    content = os.urandom(100_000)
    info = tarfile.TarInfo("data/file")
    info.size = len(content)
    whole = archive(tmp_path / "whole.tar.gz", (info, content))
    half = tmp_path / "half.tar.gz"
    half.write_bytes(whole.read_bytes()[:50_000])
    text = tmp_path / "text"
    text.write_text("no archive")
    empty = tmp_path / "empty.tar.gz"
    with tarfile.open(empty, "w:gz"):
        pass
    for file in (half, text, empty):
        root = tmp_path / ".signals"
        with pytest.raises(LocalStackError, match="no whole backup"):
            restore(root, file)
        assert not root.exists()
    with pytest.raises(LocalStackError, match="nothing was backed up"):
        backup(tmp_path / "nothing", tmp_path / "x")
