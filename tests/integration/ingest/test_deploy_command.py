"""`signals deploy` reports a deploy to a running ingest-api, and tries again while it is away."""

import orjson
import pytest
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from typer.testing import CliRunner

from signals.cli import deploy
from signals.cli.lazy import complete_app
from signals.services.access.provisioning import IssuedKey
from tests.integration.ingest.conftest import Stored
from tests.system.security.conftest import served

OPTIONS = ("deploy", "--release", "2.4.1", "--env", "staging", "--service", "web")


def test_reported_deploy_is_stored_once(
    anonymous: TestClient, key: IssuedKey, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [503, 503]

    async def away_at_first(scope: Scope, receive: Receive, send: Send) -> None:
        if not refusals:
            await anonymous.app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": refusals.pop(), "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    monkeypatch.setenv("PROJECT_API_KEY", key.text)
    monkeypatch.setattr(deploy, "PAUSE_S", 0.1)
    with served(away_at_first) as url:
        monkeypatch.setenv("INGEST_API_URL", url)
        results = [CliRunner().invoke(complete_app(), OPTIONS) for _ in range(2)]
    assert [result.exit_code for result in results] == [0, 0], results[0].output
    assert results[0].output == results[1].output
    events = [orjson.loads(record.value) for record in stored()]
    assert (len(events), len({event["event_id"] for event in events})) == (2, 1)
    assert (events[0]["environment"], events[0]["attributes"]) == ("staging", {"release": "2.4.1"})
    assert events[0]["payload"]["service"] == "web"


def test_refused_deploy_is_one_sentence(anonymous: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJECT_API_KEY", "sig_ingest_" + "a" * 43)
    with served(anonymous.app) as url:
        monkeypatch.setenv("INGEST_API_URL", url)
        result = CliRunner().invoke(complete_app(), OPTIONS)
    assert result.exit_code == 1
    assert "does not exist" in result.output
