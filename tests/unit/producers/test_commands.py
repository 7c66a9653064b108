"""Both command lines as processes of their own, against a real HTTP server."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiohttp import web

from tests.unit.producers.ingest_server import API_KEY, IngestServer, problem

_FIXTURE = Path(__file__).parents[3] / "fixtures" / "scenarios" / "spike_errors.ndjson"


def _command(tool: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", f"from producers.{tool} import main; main()", *arguments]


def _environment(server: IngestServer, api_key: str | None = API_KEY) -> dict[str, str]:
    environment = {**os.environ, "INGEST_API_URL": server.url, "COLUMNS": "200"}
    environment.pop("PROJECT_API_KEY", None)
    return environment if api_key is None else {**environment, "PROJECT_API_KEY": api_key}


def _run(
    server: IngestServer, tool: str, *arguments: str, api_key: str | None = API_KEY
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(tool, *arguments),
        env=_environment(server, api_key),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_loadgen_sends_every_event_and_writes_a_report(server: IngestServer, tmp_path: Path) -> None:
    report = tmp_path / "run.json"
    arguments = ["spike_errors", "--rate=100", "--duration=2s", "--seed=5", f"--report={report}"]
    finished = _run(server, "loadgen", *arguments)
    assert finished.returncode == 0, finished.stderr
    assert "accepted" in finished.stdout
    content = json.loads(report.read_text(encoding="utf-8"))
    assert (content["mode"], content["seed"], content["sent"], content["accepted"]) == (
        "spike_errors",
        5,
        200,
        200,
    )
    assert (content["lost"], content["rejected"]) == (0, 0)
    assert content["latency_ms"]["p99"] > 0
    assert len({envelope.event_id for envelope in server.envelopes}) == 200


def test_pods_of_one_job_send_by_different_seeds(
    server: IngestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "run.json"
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "3")
    finished = _run(server, "loadgen", "--rate=50", "--duration=1s", "--seed=5", f"--report={report}")
    assert finished.returncode == 0, finished.stderr
    assert json.loads(report.read_text())["seed"] == 8


def test_history_arrives_in_order_before_the_present(server: IngestServer) -> None:
    finished = _run(server, "loadgen", "drop_signups", "--rate=10", "--duration=1s")
    assert finished.returncode == 0, finished.stderr
    instants = [envelope.occurred_at for envelope in server.envelopes]
    assert instants[:2800] == sorted(instants[:2800])


@pytest.mark.parametrize("recording", [str(_FIXTURE), "spike_errors"])
def test_replay_sends_a_fixture_in_order(server: IngestServer, recording: str) -> None:
    finished = _run(server, "replay", recording, "--speed=max")
    assert finished.returncode == 0, finished.stderr
    instants = [envelope.occurred_at for envelope in server.envelopes]
    assert len(instants) == 2850
    assert instants == sorted(instants)


def test_replay_names_malformed_lines_sends_the_rest_and_fails(server: IngestServer, tmp_path: Path) -> None:
    path = tmp_path / "mixed.ndjson"
    good = '{"event_type": "custom", "occurred_at": "2025-12-27T10:00:00Z", "message": "m"}'
    path.write_text(f"{good}\n{{broken\n{good}\n", encoding="utf-8")
    finished = _run(server, "replay", str(path), "--speed=max")
    assert finished.returncode == 1
    assert "mixed.ndjson:2: no JSON" in finished.stderr
    assert len(server.envelopes) == 2


def test_rejected_events_fail_the_run_and_their_reason_is_shown(server: IngestServer, tmp_path: Path) -> None:
    path = tmp_path / "rejected.ndjson"
    path.write_text('{"event_type": "nonsense", "occurred_at": "2025-12-27T10:00:00Z", "message": "m"}\n')
    finished = _run(server, "replay", str(path), "--speed=max")
    assert finished.returncode == 1
    assert "rejected 1: unknown_value: event_type must be" in finished.stdout


@pytest.mark.parametrize("tool", ["loadgen", "replay"])
def test_missing_key_is_named_in_one_sentence(server: IngestServer, tool: str) -> None:
    arguments = [str(_FIXTURE)] if tool == "replay" else []
    finished = _run(server, tool, *arguments, api_key=None)
    assert finished.returncode == 2
    assert finished.stderr.count("\n") == 1
    assert "PROJECT_API_KEY" in finished.stderr


def test_wrong_key_ends_the_run_at_once(server: IngestServer) -> None:
    finished = _run(server, "loadgen", "--duration=10m", api_key="wrong")
    assert finished.returncode == 2
    assert finished.stderr.startswith("ingest-api refused the key (HTTP 401: Unknown key.)")


@pytest.mark.parametrize(
    "arguments", [["loadgen", "--duration=soon"], ["loadgen", "nonsense"], ["replay", "missing.ndjson"]]
)
def test_wrong_usage_exits_with_code_two(server: IngestServer, arguments: list[str]) -> None:
    finished = _run(server, *arguments)
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr


def test_interrupt_ends_the_run_with_its_summary(server: IngestServer, tmp_path: Path) -> None:
    report = tmp_path / "run.json"
    process = subprocess.Popen(
        _command("loadgen", "--duration=10m", "--rate=20", f"--report={report}"),
        env=_environment(server),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline_s = time.monotonic() + 60
    while not server.envelopes and process.poll() is None and time.monotonic() < deadline_s:
        time.sleep(0.02)  # the condition is another process's first request
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "accepted" in stdout
    content = json.loads(report.read_text(encoding="utf-8"))
    assert 0 < content["accepted"] == content["sent"] == len(server.envelopes)


def test_interrupt_does_not_wait_for_an_unavailable_server(server: IngestServer) -> None:
    async def away(_: web.Request) -> web.StreamResponse:
        return problem(503, {"Retry-After": "60"})

    server.faults = [away] * 1000
    process = subprocess.Popen(
        _command("loadgen", "--duration=10m", "--rate=20"),
        env=_environment(server),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline_s = time.monotonic() + 60
    while not server.requests and process.poll() is None and time.monotonic() < deadline_s:
        time.sleep(0.02)  # the condition is another process's first request
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "lost" in stdout
