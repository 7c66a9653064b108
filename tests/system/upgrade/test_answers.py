"""After an upgrade readers and operators get the same answers as before."""

import json
from collections.abc import Iterator
from typing import Any, Final

from psycopg_pool import ConnectionPool

from signals.clients.opensearch.connection import Client
from signals.clients.opensearch.index import field_at_fault
from signals.clients.postgres import Connection
from signals.domain.access.limits import KeyLimits
from signals.services.access.authentication import KeyAuthenticator, KeyGranted, KeyRefused
from signals.settings import KafkaSettings
from tests.integration.core.conftest import core_client
from tests.system.upgrade.conftest import Run
from tests.system.upgrade.fixtures import Fixture

MOVES_ON: Final = frozenset({"next_cursor", "settled_before"})
"""Fields whose value belongs to the process or to the instant that answered."""


ASKED_SINCE: Final = {"/v1/search/events": "&include=facets&include=histogram"}
"""Parts of an answer that came unasked before, and come when asked now (CHANGELOG.md)."""


def _lost(before: Any, after: Any, place: str) -> Iterator[str]:
    """Yield where `after` says otherwise than `before`; it may say more."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() - MOVES_ON:
            yield from _lost(before[name], after.get(name, "(gone)"), f"{place}.{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after, strict=True)):
            yield from _lost(*pair, f"{place}[{number}]")
    elif before != after:
        yield f"{place}: {before!r} became {after!r}"


def test_readers_get_the_answers_they_got_before(
    old: Fixture, pool: ConnectionPool[Connection], old_index: Client
) -> None:
    with core_client(pool, old_index) as client:
        for asked in old.answers:
            headers = {"Authorization": f"Bearer {old.key(asked['key'])}"}
            path = asked["path"] + ASKED_SINCE.get(asked["path"].partition("?")[0], "")
            answer = client.get(path, headers=headers)
            assert answer.status_code == 200, answer.text
            assert list(_lost(asked["answer"], answer.json(), asked["path"])) == []


def test_keys_keep_their_access(old: Fixture, pool: ConnectionPool[Connection]) -> None:
    authenticator = KeyAuthenticator(pool)
    for name, key in old.manifest["keys"].items():
        verdict = authenticator.check(key["text"])
        if key["state"] == "revoked":
            assert verdict == KeyRefused("revoked"), name
            continue
        assert isinstance(verdict, KeyGranted), name
        assert (verdict.tenancy.project_id, verdict.scope) == (key["project"], old.key_scope(name))
        limits = KeyLimits(events_per_second=5_000, events_per_day=1_000_000)
        assert (verdict.limits == limits) == (name == "web-ingest")


def test_dead_letters_keep_their_decisions(old: Fixture, old_topics: KafkaSettings, run: Run) -> None:
    assert run("migrate").exit_code == 0
    letters = json.loads(run("dlq", "list", "--oldest", "--settled", "--json").stdout)
    raw = [record for record in old.records if record["topic"] == "signals.dlq.v1"]
    assert [letter["verdict"] for letter in letters] == ["dropped", "requeued"] + [None] * (len(raw) - 2)
    assert [letter["id"] for letter in letters] == [f"0:{record['offset']}" for record in raw]


def test_prepare_leaves_topics_and_index_as_they_are(
    old: Fixture, old_topics: KafkaSettings, old_index: Client, run: Run
) -> None:
    assert run("prepare").exit_code == 0
    assert field_at_fault(old_index) is None
    found = old_index.indices.get_mapping(index=old.index["name"])[old.index["name"]]["mappings"]
    assert list(_lost(old.index["mappings"], found, "mappings")) == []
    assert old_index.count(index=old.index["name"])["count"] == len(old.documents)
