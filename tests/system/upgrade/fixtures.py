"""Reads the fixtures of earlier releases and puts them onto real servers."""

import json
import lzma
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import (  # admin re-exports them without saying so
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)
from confluent_kafka.cimpl import NewPartitions

from signals.clients.opensearch.connection import Client
from signals.domain.access.scopes import Scope
from tests.support.waiting import until
from tests.system.upgrade.capture import PLACE

FOLDERS: Final = sorted(Path(__file__).parent.glob("fixture-*"))
PASSED_ON_WITHIN_S: Final = 120.0
BULK: Final = 500
PATIENT: Final = {"request_timeout": 60}
"""Seconds; a cold OpenSearch took 20 for its first bulk while 30 processes waited for two cores."""
UNTIL_END: Final = b"\\.\n"
"""Ends the rows of a COPY block in a plain dump (PostgreSQL, COPY, text format)."""


@dataclass(frozen=True)
class Fixture:
    """A stack as one release left it."""

    folder: Path

    @cached_property
    def manifest(self) -> Any:
        """Commit, schema, rows by table, keys."""
        return self._json("manifest.json")

    @cached_property
    def index(self) -> Any:
        """The events index as it was created: name, settings, mappings."""
        return self._json("index.json")

    @cached_property
    def topics(self) -> Any:
        """Partitions and configuration by topic."""
        return self._json("topics.json")

    @cached_property
    def answers(self) -> Any:
        """Answers of core-api: key, path, answer."""
        return self._json("answers.json")

    @cached_property
    def names(self) -> Any:
        """The public names of the release, by kind."""
        return self._json("names.json")

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """Every record of every topic, in the order of its partition."""
        return self._packed_lines("records.ndjson.xz")

    @cached_property
    def documents(self) -> list[dict[str, Any]]:
        """Every document with its id."""
        return self._packed_lines("documents.ndjson.xz")

    def key(self, name: str) -> str:
        """The text of a key."""
        return str(self.manifest["keys"][name]["text"])

    def key_scope(self, name: str) -> Scope:
        """The scope that a key was issued with."""
        return Scope(self.manifest["keys"][name]["scope"])

    def _json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def _packed_lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in lzma.decompress((self.folder / name).read_bytes()).splitlines()]

    def restore_database(self, database_url: str) -> None:
        """Run the dump on an empty database, as `psql` would."""
        lines = iter(
            lzma.decompress((self.folder / "database.sql.xz").read_bytes()).splitlines(keepends=True)
        )
        with psycopg.connect(database_url, autocommit=True) as connection:
            for statement in _statements(lines):
                if not statement.startswith(b"COPY "):
                    connection.execute(statement)
                    continue
                with connection.cursor() as cursor, cursor.copy(statement) as copy:
                    for row in iter(lambda: next(lines), UNTIL_END):
                        copy.write(row)

    def restore_index(self, client: Client) -> None:
        """Create the index as the release did, and every document in it; nothing when that is there."""
        name = self.index["name"]
        if client.indices.exists(index=name) and client.count(index=name)["count"] == len(self.documents):
            return
        client.indices.delete(index=name, ignore_unavailable=True)
        as_created = {part: self.index[part] for part in ("settings", "mappings", "aliases")}
        client.indices.create(index=name, body=as_created, params=PATIENT)
        for start in range(0, len(self.documents), BULK):
            piece = self.documents[start : start + BULK]
            body = [line for each in piece for line in ({"create": {"_id": each["_id"]}}, each["_source"])]
            assert not client.bulk(body=body, index=name, params=PATIENT)["errors"]
        client.indices.refresh(index=name, params=PATIENT)

    def restore_topics(self, brokers: str) -> None:
        """Put every record back to its place; the topics exist and are empty.

        Records keep their instants, so the topics must not forget them by age.
        """
        admin = AdminClient({"bootstrap.servers": brokers})
        growing = {name: topic["partitions"] for name, topic in self.topics.items()}
        known = {name: until(partial(_partitions, admin, name), within_s=60) for name in growing}
        more = [NewPartitions(name, count) for name, count in growing.items() if count > len(known[name])]
        for_ever = ConfigEntry("retention.ms", "-1", incremental_operation=AlterConfigOpType.SET)
        changes = [
            ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[for_ever])
            for name in growing
        ]
        futures = [*admin.incremental_alter_configs(changes).values()]
        futures += admin.create_partitions(more).values() if more else []
        for future in futures:
            future.result(PASSED_ON_WITHIN_S)
        until(
            lambda: all(len(_partitions(admin, name)) == count for name, count in growing.items()),
            within_s=60,
        )
        produce(brokers, self.records)

    def copy_state(self, target: Path) -> Path:
        """Lay out the state folder as the release left it, below `target`; return it."""
        folder = target / ".signals"
        folder.mkdir()
        for line in (self.folder / "state" / "layout.txt").read_text().splitlines():
            path = folder / line
            if line.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
            elif path.parent == folder:
                path.touch()
        for path in (self.folder / "state").iterdir():
            if path.name != "layout.txt":
                shutil.copy(path, folder)
                copied = folder / path.name
                copied.write_text(copied.read_text().replace(PLACE, str(folder.resolve())))
        return folder


def _partitions(admin: AdminClient, topic: str) -> Mapping[int, object]:
    """The partitions that the brokers tell of; none while the topic's creation has not reached them."""
    return admin.list_topics(topic, timeout=PASSED_ON_WITHIN_S).topics[topic].partitions


def produce(brokers: str, records: Sequence[dict[str, Any]]) -> None:
    """Append records to the partitions that they name, with their own instants, in this order."""
    faults: list[object] = []
    settings = {"bootstrap.servers": brokers, "linger.ms": 20, "enable.idempotence": True}
    producer = Producer(settings | {"on_delivery": lambda error, _: faults.append(error) if error else None})
    for topic in {record["topic"] for record in records}:
        producer.list_topics(topic, timeout=PASSED_ON_WITHIN_S)  # the partitions that there are now
    for record in records:
        producer.produce(
            record["topic"],
            _bytes(record["value"]),
            _bytes(record["key"]),
            partition=record["partition"],
            timestamp=record["timestamp_ms"],
            headers=[(name, _bytes(value)) for name, value in record["headers"]],
        )
    assert producer.flush(PASSED_ON_WITHIN_S) == 0
    assert not faults


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")


def _statements(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what lies between the rows: several statements at once, and each COPY by itself."""
    statements: list[bytes] = []
    for line in lines:
        if line.startswith(b"COPY ") and line.endswith(b"FROM stdin;\n"):
            yield b"".join(statements)
            statements = []
            yield line
        else:
            statements.append(line)
    yield b"".join(statements)
