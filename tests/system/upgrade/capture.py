"""Captures a stopped stack: database, index, topics, state folder, and core-api's answers."""

import hashlib
import json
import lzma
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, LiteralString
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psycopg
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource  # admin re-exports it without saying so
from psycopg import sql

INDEX: Final = "signals-events-v1"
TOPICS: Final = ("signals.raw.v1", "signals.ai.jobs.v1", "signals.dlq.v1")
TIMEOUT_S: Final = 30.0
MADE_BY_THE_SERVER: Final = ("uuid", "creation_date", "provided_name", "version")
"""Read-only settings of an index."""
PLACE: Final = "@STACK@"
"""Stands in the state folder's files for the folder itself."""
PASSWORD, TOKEN = "fixture-password", "fixture-ray-token"
FORGET_THE_MACHINE: Final[tuple[LiteralString, ...]] = (
    "UPDATE _yoyo_log SET hostname = 'fixture', username = 'fixture'",
    "UPDATE pipeline.workers SET node = 'fixture'",
)
TABLES: LiteralString = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema IN ('public', 'pipeline') ORDER BY 1, 2
"""


def capture(
    target: Path, *, stack_folder: Path, environment: Mapping[str, str], facts: Mapping[str, Any]
) -> None:
    """Write the fixture; only the stack's servers may be running, so that nothing changes meanwhile."""
    target.mkdir(parents=True, exist_ok=True)
    database_url = environment["DATABASE_URL"]
    with psycopg.connect(database_url) as database:
        for statement in FORGET_THE_MACHINE:
            database.execute(statement)
    _write_packed(target / "database.sql.xz", _dump(database_url))
    _write_packed(target / "documents.ndjson.xz", _lines(_documents(environment["OPENSEARCH_URL"])))
    with log_reader(environment["KAFKA_BROKERS"]) as reader:
        _write_packed(target / "records.ndjson.xz", _lines(_records(reader)))
    _write_json(target / "index.json", _index(environment["OPENSEARCH_URL"]))
    _write_json(target / "topics.json", _topics(environment["KAFKA_BROKERS"]))
    _write_json(target / "answers.json", facts["answers"])
    _copy_state(stack_folder, target / "state", environment)
    with psycopg.connect(database_url) as database:
        counts = _counts(database)
        schema = [name for (name,) in database.execute("SELECT migration_id FROM _yoyo_migration ORDER BY 1")]
    manifest = {
        "commit": _run("git", "rev-parse", "HEAD").decode().strip(),
        "schema": schema,
        "seed": facts["seed"],
        "keys": facts["keys"],
        "rows": counts,
        "files": {str(path.relative_to(target)): digest(path) for path in _files(target)},
    }
    _write_json(target / "manifest.json", manifest)


def http_json(url: str, key: str | None = None, *, body: object = None, method: str | None = None) -> Any:
    """Ask an API, with a JSON body when one is given; return the JSON of its answer."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, headers, method=method), timeout=TIMEOUT_S) as answer:
        return json.load(answer)


@contextmanager
def log_reader(brokers: str) -> Iterator[Consumer]:
    """A consumer in a group of its own that commits nothing."""
    reader = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "fixture",
            "enable.auto.commit": False,
            "enable.partition.eof": False,
        }
    )
    try:
        yield reader
    finally:
        reader.close()


def log_ranges(reader: Consumer, topic: str) -> dict[int, tuple[int, int]]:
    """Return the oldest offset and the end of each partition."""
    partitions = reader.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
    return {
        number: reader.get_watermark_offsets(TopicPartition(topic, number), timeout=TIMEOUT_S)
        for number in sorted(partitions)
    }


def _records(reader: Consumer) -> Iterator[dict[str, Any]]:
    """Read every record of every topic, partition by partition."""
    for topic in TOPICS:
        for partition, (oldest, end) in log_ranges(reader, topic).items():
            reader.assign([TopicPartition(topic, partition, oldest)])
            for offset in range(oldest, end):
                message = reader.poll(TIMEOUT_S)
                assert message is not None, f"{topic} {partition}:{offset} cannot be read"
                assert message.error() is None, message.error()
                assert message.offset() == offset
                yield {
                    "topic": topic,
                    "partition": partition,
                    "offset": offset,
                    "timestamp_ms": message.timestamp()[1],
                    "key": _text(message.key()),
                    "value": _text(message.value()),
                    "headers": [[header[0], _text(header[1])] for header in message.headers() or ()],
                }


def _text(value: bytes | str | None) -> str | None:
    """Bytes as text that gives the same bytes again, UTF-8 or not (`surrogateescape`)."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _documents(url: str) -> Iterator[dict[str, Any]]:
    """Every document in the order of its id."""
    after: list[str] = []
    while True:
        body = {"size": 1000, "sort": ["event_id", "project_id"]} | ({"search_after": after} if after else {})
        hits = http_json(f"{url}/{INDEX}/_search", body=body)["hits"]["hits"]
        if not hits:
            return
        yield from ({"_id": hit["_id"], "_source": hit["_source"]} for hit in hits)
        after = hits[-1]["sort"]


def _index(url: str) -> dict[str, Any]:
    found = http_json(f"{url}/{INDEX}")[INDEX]
    settings = found["settings"]["index"]
    found["settings"]["index"] = {k: v for k, v in settings.items() if k not in MADE_BY_THE_SERVER}
    templates = http_json(f"{url}/_index_template")["index_templates"]
    ours = [template for template in templates if template["name"].startswith("signals")]
    return {"name": INDEX, "templates": ours, **found}


def _topics(brokers: str) -> dict[str, Any]:
    admin = AdminClient({"bootstrap.servers": brokers})
    known = admin.list_topics(timeout=TIMEOUT_S).topics
    topics = {}
    for topic in TOPICS:
        (asked,) = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]).values()
        own = {n: entry.value for n, entry in asked.result(TIMEOUT_S).items() if not entry.is_default}
        topics[topic] = {"partitions": len(known[topic].partitions), "config": own}
    return topics


def _dump(database_url: str) -> bytes:
    """Plain SQL with the rows as COPY blocks, without commands of `psql`, which no server understands."""
    text = _run("pg_dump", "--no-owner", "--no-privileges", "--dbname", database_url)
    return b"".join(
        line for line in text.splitlines(keepends=True) if not re.match(rb"\\(un)?restrict ", line)
    )


def _counts(database: psycopg.Connection[tuple[Any, ...]]) -> dict[str, int]:
    counts = {}
    for schema, table in database.execute(TABLES).fetchall():
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
        (counts[f"{schema}.{table}"],) = database.execute(query).fetchone() or (0,)
    return counts


def _copy_state(source: Path, target: Path, environment: Mapping[str, str]) -> None:
    """Copy the state folder's own files, with fixed words for its secrets, and list what else lies there."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    password = urlsplit(environment["DATABASE_URL"]).password or ""
    token = (source / "ray-token").read_text()
    for path in sorted(source.iterdir()):
        if path.is_file() and path.stat().st_size:
            text = path.read_text().replace(password, PASSWORD).replace(token, TOKEN)
            (target / path.name).write_text(text.replace(str(source.resolve()), PLACE))
    depth = len(source.parts) + 2
    found = (path for path in source.rglob("*") if len(path.parts) <= depth)
    lines = sorted(f"{path.relative_to(source)}{'/' if path.is_dir() else ''}\n" for path in found)
    (target / "layout.txt").write_text("".join(lines))


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(json.dumps(row, separators=(",", ":"), sort_keys=True).encode() + b"\n" for row in rows)


def _write_packed(path: Path, content: bytes) -> None:
    path.write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def _files(target: Path) -> list[Path]:
    return sorted(path for path in target.rglob("*") if path.is_file() and path.name != "manifest.json")


def digest(path: Path) -> str:
    """The SHA-256 of a file in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _run(*command: str) -> bytes:
    return subprocess.run(command, capture_output=True, check=True).stdout
