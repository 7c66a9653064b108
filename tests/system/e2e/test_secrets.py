"""No file or process of a run holds a secret or the text of an event."""

import http.client
import json
import mmap
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import psutil
import psycopg

from signals.clients.kafka import RAW_TOPIC
from signals.clients.kafka.publisher import OutgoingRecord, open_publisher
from signals.local.folder import StackFolder
from tests.support.events import event
from tests.support.model_server import Reply
from tests.support.product import MODEL_KEY, Product
from tests.support.waiting import until
from tests.system.e2e.test_acceptance import jobs_of, spike

MARKS: Final = {
    name: f"marker-{name}-7f3a91"
    for name in (
        "message",
        "attribute",
        "user",
        "rejected",
        "malformed",
        "query",
        "record",
        "row",
        "model",
        "code",
    )
}
FOREIGN_KEY: Final = "sig_read_" + "marker-foreign-key".ljust(43, "x")
KEPT_APART: Final = ("state.json", "env", "ray-token")  # they hold secrets, for their owner's eyes only
STORES: Final = ("postgres/cluster/base", "postgres/cluster/pg_wal", "kafka/", "opensearch/nodes")


def places_to_search(product: Product) -> list[Path]:
    """Every file that the run wrote, except the servers' stores."""
    ray, servers = product.head.folder, StackFolder(root=product.head.folder.root.parent / "servers")
    state = servers.load()
    assert state is not None
    data = Path(state.data)
    found = []
    for root in (ray.root, servers.root, data, product.head.temp):
        for folder, _, names in os.walk(root):
            paths = [Path(folder) / name for name in names]
            found += [p for p in paths if p.is_file() and not p.is_symlink() and not is_store(p, data)]
    return found


def is_store(path: Path, data: Path) -> bool:
    return path.is_relative_to(data) and str(path.relative_to(data)).startswith(STORES)


def holders(paths: list[Path], secrets: Mapping[str, str]) -> list[str]:
    """Return the files that hold a secret, also in quoted form."""
    return [f"{name} in {path}" for path in paths for name in found_in(path, secrets)]


def found_in(path: Path, secrets: Mapping[str, str]) -> Iterator[str]:
    try:
        file = path.open("rb")
    except FileNotFoundError:  # rotated away meanwhile
        return
    with file:
        if not os.fstat(file.fileno()).st_size:
            return
        with closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as content:
            for name, secret in secrets.items():
                if any(content.find(form.encode()) >= 0 for form in {secret, quote(secret, safe="")}):
                    yield name


def arguments() -> Iterator[tuple[int, str]]:
    for process in psutil.process_iter():
        try:
            yield process.pid, "\0".join(process.cmdline())
        except psutil.Error:  # it ended, or is a zombie
            continue


def secrets_of(product: Product) -> dict[str, str]:
    """The secrets of the run, without the part that says what kind they are."""
    password = urlsplit(product.environment["DATABASE_URL"]).password
    assert password
    return {
        "the ingest key": product.environment["PROJECT_API_KEY"][-43:],
        "the read key": product.environment["READ_API_KEY"][-43:],
        "the admin key": product.environment["ADMIN_API_KEY"][-43:],
        "a wrong key": FOREIGN_KEY[-43:],
        "the database's password": password,
        "the model's key": MODEL_KEY,
        "Ray's token": product.head.folder.ray_token_path.read_text(),
    }


def ask(product: Product, method: str, path: str, key: str, body: bytes = b"") -> int:
    address = urlsplit(product.environment["CORE_API_URL"])
    with closing(http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)) as connection:
        connection.request(method, path, body, {"X-API-Key": key, "Content-Type": "application/json"})
        return connection.getresponse().status


def marked(**changes: object) -> dict[str, object]:
    body = json.loads(event("error", datetime.now(UTC), error_code="MARKED", route="/e2e").to_json())
    del body["org_id"], body["project_id"]
    attributes = body["attributes"] | {"note": MARKS["attribute"]}
    marks = {"message": MARKS["message"], "payload": {"user": MARKS["user"]}, "attributes": attributes}
    return {**body, **marks, **changes}


def send_what_may_be_quoted(product: Product) -> None:
    """Send good and bad events, keys where none belongs, and records that no API let in."""
    ingest, read = product.environment["PROJECT_API_KEY"], product.environment["READ_API_KEY"]
    rejected = {**marked(event_type=MARKS["rejected"]), MARKS["rejected"]: MARKS["rejected"]}
    assert ask(product, "POST", "/v1/events", ingest, json.dumps(marked()).encode()) == 202
    for body, status in [
        (json.dumps([marked(), rejected]).encode(), 207),
        (b'[{"message": "%s", ]' % MARKS["malformed"].encode(), 400),
        (json.dumps({"events": MARKS["malformed"]}).encode(), 400),
        (b'["\xff%s"]' % MARKS["malformed"].encode(), 400),
    ]:
        assert ask(product, "POST", "/v1/events/batch", ingest, body) == status, body
    assert ask(product, "POST", f"/v1/events?api_key={ingest}", ingest, json.dumps(marked()).encode()) == 400
    for path, key, status in [
        (f"/v1/search/events?q={MARKS['query']}&filters=route:{MARKS['query']}", read, 200),
        (f"/v1/search/events?filters={MARKS['query']}", read, 400),
        (f"/v1/search/events?api_key={read}", read, 400),
        (f"/v1/incidents/{read}", read, 404),
        (f"/{read}", read, 404),
        ("/v1/incidents", FOREIGN_KEY, 401),
        ("/v1/incidents", ingest, 403),
        (f"/v1/incidents?key={FOREIGN_KEY}", "", 401),
    ]:
        assert ask(product, "GET", path, key) == status, path
    mark = MARKS["record"]
    unlocated = json.loads(event("error", datetime.now(UTC)).to_json()) | {"event_type": mark}
    values = [mark.encode(), b"\xff" + mark.encode(), json.dumps(unlocated).encode()]
    with open_publisher(product.servers.kafka) as publisher:
        records = [OutgoingRecord(key=mark.encode(), value=value) for value in values]
        publisher.publish_and_wait(RAW_TOPIC, records)


def test_written_files_hold_no_secret_or_event_text(product: Product) -> None:
    secrets = secrets_of(product)
    quoting = json.dumps({"error": {"message": f"Incorrect API key: {MODEL_KEY} {MARKS['model']}"}})
    product.model.script += [Reply(status=500, body=quoting.encode()), Reply(content=MARKS["model"])]
    send_what_may_be_quoted(product)
    incident = spike(product, MARKS["code"])
    until(lambda: not product.model.script)
    until(lambda: jobs_of(product, incident["id"])[0][0] == "succeeded", within_s=120)
    assert not [key for key in secrets.values() if key in str(jobs_of(product, incident["id"]))]
    for _ in range(2):
        with product.database() as connection, suppress(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO orgs (id, name) VALUES (%s, 'x')", [MARKS["row"]])
    until(lambda: product.unsettled() == 0)

    paths = places_to_search(product)
    assert {"haproxy.cfg", "postgres.log", "kafka.log", "opensearch.log", "ray.log", "raylet.out"} <= {
        path.name for path in paths
    }
    kept_apart = [path for path in paths if path.name in KEPT_APART]
    assert holders(kept_apart, secrets)  # the search finds what is there
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept_apart} == {0o600}
    searched = [path for path in paths if path not in kept_apart]
    assert holders(searched, {**secrets, **MARKS}) == []
    shown = [(pid, name) for pid, line in arguments() for name, key in secrets.items() if key in line]
    assert shown == []
