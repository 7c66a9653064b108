"""Makes the fixture of a stack as this release leaves it.

`python -m tests.system.upgrade.make_fixture tests/system/upgrade/fixture-0009` starts a local stack in a
temporary folder, sends a bounded, seeded set of events over HTTP, stops the stack, and writes into the
folder what the next releases must be able to upgrade. It drives commands and HTTP paths only, so that it
runs on any release from schema 0009 on. Needs `pg_dump`; takes about two minutes.
"""

import argparse
import json
import random
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, LiteralString
from urllib.parse import urlencode

from confluent_kafka import Producer

from tests.support.waiting import until
from tests.system.upgrade.capture import capture, http_json, log_ranges, log_reader
from tests.system.upgrade.local_stack import LocalStack, new_stack

ROOT: Final = Path(__file__).resolve().parents[3]
SEED: Final = 12
RAW_TOPIC: Final = "signals.raw.v1"
SETTLED_WITHIN_S: Final = 120.0
PROGRESS: LiteralString = """
SELECT (SELECT sum(events) FROM pipeline.ledger WHERE outcome = 'accepted'),
       ARRAY(SELECT sum(next_offset) FROM pipeline.offsets WHERE topic = %(topic)s GROUP BY consumer_group),
       (SELECT count(*) FROM ai_jobs WHERE status <> 'succeeded')
"""
BROKEN: Final = (b'{"not": "an event"}', b"no JSON at all", b"\xff\xfe no UTF-8", b"")
"""Records that no stage can handle; ingest-api refuses such bodies, so they go to Kafka directly."""


def make(target: Path) -> None:
    """Run a stack from nothing and write its fixture."""
    with new_stack() as stack:
        print(stack.signals("up"))
        keys = _provision(stack)
        _send(stack, keys)
        _settle(stack, not_accepted=len(BROKEN))
        _decide(stack, keys)
        _settle(stack, not_accepted=len(BROKEN) + 1)
        facts = {"seed": SEED, "keys": keys, "answers": _answers(stack, keys)}
        print(stack.signals("down"))
        print(stack.signals("stack", "up"))
        capture(target, stack_folder=stack.folder / ".signals", environment=stack.environment, facts=facts)


def _provision(stack: LocalStack) -> dict[str, dict[str, str]]:
    """Return the keys' texts by name, with project, scope and what a request with each must meet."""
    environment = stack.environment
    stack.signals("orgs", "create", "acme", "--name", "Acme")
    stack.signals("projects", "create", "web", "--org", "acme", "--name", "Acme web")
    keys = {
        "shop-ingest": _key("shop", "ingest", environment["PROJECT_API_KEY"]),
        "shop-read": _key("shop", "read", environment["READ_API_KEY"]),
    }
    ids = {}
    for name, scope in (
        ("web-ingest", "ingest"),
        ("web-read", "read"),
        ("web-old", "read"),
        ("web-revoked", "ingest"),
    ):
        issued = json.loads(stack.signals("keys", "create", "--project", "web", "--scope", scope, "--json"))
        ids[name] = issued["key_id"]
        keys[name] = _key("web", scope, issued["key"])
    stack.signals(
        "keys", "limit", ids["web-ingest"], "--events-per-second", "5000", "--events-per-day", "1000000"
    )
    stack.signals("keys", "revoke", ids["web-revoked"])
    keys["web-revoked"]["state"] = "revoked"
    with stack.database() as database:  # as a key issued under schema 0007, which did not note the scope
        database.execute("DELETE FROM pipeline.api_key_scopes WHERE key_id = %s", (ids["web-old"],))
    return keys


def _key(project: str, scope: str, text: str) -> dict[str, str]:
    return {"project": project, "scope": scope, "state": "valid", "text": text}


def _send(stack: LocalStack, keys: Mapping[str, Mapping[str, str]]) -> None:
    """Send an outage to one project, a signup drop and a smaller outage to the other, and traffic to both."""
    shop, web = keys["shop-ingest"]["text"], keys["web-ingest"]["text"]
    scenarios = ROOT / "fixtures" / "scenarios"
    stack.run("signals-replay", str(scenarios / "spike_errors.ndjson"), "--speed", "max", key=shop)
    stack.run(
        "signals-replay",
        str(scenarios / "drop_signups.ndjson"),
        "--speed",
        "max",
        "--rebase",
        "none",
        key=web,
    )
    for key in (shop, web):
        stack.run("signals-loadgen", "normal", "--rate", "100", "--duration", "2s", f"--seed={SEED}", key=key)
    events = list(_outage(random.Random(SEED), datetime.now(UTC) - timedelta(minutes=3)))
    for _ in range(2):  # the second time they are duplicates
        answer = http_json(f"{stack.environment['INGEST_API_URL']}/v1/events/batch", web, body=events)
        assert answer["accepted"] == len(events), answer
    producer = Producer({"bootstrap.servers": stack.environment["KAFKA_BROKERS"]})
    for partition, value in enumerate(BROKEN):
        producer.produce(
            RAW_TOPIC, value, key=b"acme|web|signup", partition=partition, headers=[("trace", b"1")]
        )
    assert producer.flush(30) == 0


def _outage(chance: random.Random, start: datetime) -> Iterator[dict[str, Any]]:
    for second in range(60):
        yield {
            "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "event_type": "error",
            "environment": "prod",
            "severity": "critical",
            "occurred_at": (start + timedelta(seconds=second)).isoformat(timespec="milliseconds"),
            "message": f"login failed für Kundin {second}",
            "attributes": {
                "route": "/login|a",
                "error_code": "AUTH%1",
                "status_code": 500,
                "shard": second % 3,
            },
        }


def _settle(stack: LocalStack, *, not_accepted: int) -> None:
    """Wait until everything sent is entered, counted, indexed and summarized.

    `not_accepted` records of the topic did not come through ingest-api.
    """
    environment = stack.environment
    with log_reader(environment["KAFKA_BROKERS"]) as reader, stack.database() as database:

        def is_settled() -> bool:
            records = sum(end for _, end in log_ranges(reader, RAW_TOPIC).values())
            (accepted, handled, undone), *_ = database.execute(PROGRESS, {"topic": RAW_TOPIC})
            return (accepted, handled, undone) == (records - not_accepted, [records, records], 0)

        until(is_settled, within_s=SETTLED_WITHIN_S, every_s=0.5)


def _last_hour() -> dict[str, str]:
    now = datetime.now(UTC)
    return {"since": (now - timedelta(hours=1)).isoformat(), "until": now.isoformat()}


def _decide(stack: LocalStack, keys: Mapping[str, Mapping[str, str]]) -> None:
    """Act as people do: acknowledge an incident, resolve another, drop a dead letter, requeue one."""
    key = keys["web-read"]["text"]
    for incident in stack.get("/v1/incidents", key)["incidents"]:
        status = "resolved" if incident["fingerprint"].startswith("signup") else "investigating"
        url = f"{stack.environment['CORE_API_URL']}/v1/incidents/{incident['id']}"
        http_json(url, key, body={"status": status}, method="PATCH")
    letters = json.loads(stack.signals("dlq", "list", "--oldest", "--json"))
    stack.signals("dlq", "drop", letters[0]["id"], "--yes")
    stack.signals("dlq", "requeue", letters[1]["id"], "--yes")


def _answers(stack: LocalStack, keys: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    """Ask core-api as readers do; return paths and answers."""
    asked: list[dict[str, Any]] = []
    for name in ("shop-read", "web-read"):
        key = keys[name]["text"]
        incidents = stack.get("/v1/incidents", key, limit=200)["incidents"]
        paths = [
            "/v1/incidents?limit=200",
            "/v1/incidents?status=open",
            f"/v1/ledger?{urlencode(_last_hour())}",
        ]
        paths += [f"/v1/incidents/{incident['id']}" for incident in incidents]
        paths += [
            "/v1/search/events?limit=3",
            "/v1/search/events?limit=2&q=login&filters=event_type:error,environment:prod",
        ]
        url = stack.environment["CORE_API_URL"]
        asked += [{"key": name, "path": path, "answer": http_json(url + path, key)} for path in paths]
    return asked


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "folder", type=Path, help="where the fixture goes, like tests/system/upgrade/fixture-0009"
    )
    make(parser.parse_args().folder)


if __name__ == "__main__":
    main()
