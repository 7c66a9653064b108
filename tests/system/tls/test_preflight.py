"""`signals preflight` on real servers: each failure is one sentence and one variable."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from psycopg import sql

from signals import cli
from signals.clients.kafka import RAW_TOPIC
from signals.clients.opensearch import EVENTS_INDEX
from signals.clients.opensearch.connection import Client
from signals.clients.postgres import conninfo
from signals.local.stack import RunningStack
from signals.settings import KafkaSettings, PostgresSettings
from tests.support.model_server import ModelServer, Reply, open_model_server
from tests.support.waiting import until
from tests.system.tls import secure_kafka, secure_opensearch
from tests.system.tls.certificates import NAME, Certificates
from tests.system.tls.secure_kafka import Brokers
from tests.system.tls.secure_opensearch import SecureOpenSearch
from tests.system.tls.secure_postgres import SecurePostgres

WRONG = "wr0ng-s3cret"
Findings = dict[str, dict[str, Any]]
Run = Callable[..., tuple[int, Findings]]


@pytest.fixture
def run(
    servers: RunningStack,
    database: PostgresSettings,
    kafka: KafkaSettings,
    opensearch: Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run the command on the session's plain servers, all prepared, but for `changes`."""

    def preflight(changes: Mapping[str, str], *options: str) -> tuple[int, Findings]:
        own = {"DATABASE_URL": database.database_url.get_secret_value(), "SIGNALS_PARTITIONS": "3"}
        for name, value in {**servers.environment, **own, **changes}.items():
            monkeypatch.setenv(name, value)
        report = tmp_path / "report.json"
        monkeypatch.setattr(sys, "argv", ["signals", "preflight", "--report", str(report), *options])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert report.stat().st_size <= 4096
        rows = json.loads(report.read_text())
        printed = capsys.readouterr().out
        assert all(row["message"] in printed for row in rows)
        assert not [secret for secret in (WRONG, secure_kafka.PASSWORD, "MII") if secret in printed]
        return int(str(ended.value.code)), {row.pop("check"): row for row in rows}

    return preflight


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with open_model_server() as server:
        server.models = ["llama-a", "llama-b"]
        yield server


@pytest.fixture
def secure(
    secure_database: SecurePostgres,
    brokers: Brokers,
    secure_search: SecureOpenSearch,
    certificates: Certificates,
) -> dict[str, str]:
    """Everything right for the three servers behind TLS."""
    return {
        "DATABASE_URL": secure_database.url(),
        "PG_CA_CERT": certificates.ca,
        "PG_SSLMODE": "verify-full",
        "KAFKA_BROKERS": f"{NAME}:{brokers.valid}",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_USERNAME": secure_kafka.USER,
        "KAFKA_SASL_PASSWORD": secure_kafka.PASSWORD,
        "KAFKA_CA_CERT": certificates.ca,
        "OPENSEARCH_URL": secure_search.url(),
        "OPENSEARCH_USER": secure_opensearch.USER,
        "OPENSEARCH_PASS": secure_opensearch.PASSWORD,
        "OPENSEARCH_CA_CERT": certificates.ca,
    }


def verdicts(findings: Findings) -> dict[str, tuple[bool, str]]:
    return {check: (row["ok"], row["reason"]) for check, row in findings.items()}


def test_prepared_servers_pass_without_a_model_key(run: Run) -> None:
    code, findings = run({})
    assert code == 0
    assert verdicts(findings) == {
        "postgres": (True, "Reachable"),
        "schema": (True, "UpToDate"),
        "kafka": (True, "Reachable"),
        "topics": (True, "Ready"),
        "opensearch": (True, "Reachable"),
        "index": (True, "Ready"),
        "model": (True, "BuiltIn"),
    }


def test_servers_behind_tls_pass(run: Run, secure: dict[str, str]) -> None:
    code, findings = run(secure)
    assert code == 0, findings
    assert all(findings[server]["ok"] for server in ("postgres", "kafka", "opensearch"))


@pytest.mark.parametrize(
    ("check", "inside", "password", "blamed", "ca"),
    [
        ("postgres", "schema", "DATABASE_URL", "DATABASE_URL", "PG_CA_CERT"),
        ("kafka", "topics", "KAFKA_SASL_PASSWORD", "KAFKA_SASL_PASSWORD", "KAFKA_CA_CERT"),
        ("opensearch", "index", "OPENSEARCH_PASS", "OPENSEARCH_PASS", "OPENSEARCH_CA_CERT"),
    ],
)
def test_wrong_password_and_wrong_ca_are_reported_by_variable(
    run: Run,
    secure: dict[str, str],
    secure_database: SecurePostgres,
    certificates: Certificates,
    check: str,
    inside: str,
    password: str,
    blamed: str,
    ca: str,
) -> None:
    wrong = secure_database.url(password=WRONG) if check == "postgres" else WRONG
    for change, reason, variable in (
        ({password: wrong}, "LoginRefused", blamed),
        ({ca: certificates.other_ca}, "CertificateUntrusted", ca),
        ({ca: "/nowhere/ca.crt"}, "SettingsInvalid", ca),
    ):
        code, findings = run(secure | change)
        assert code == 1
        assert (findings[check]["reason"], findings[check]["variable"]) == (reason, variable)
        assert (findings[inside]["ok"], findings[inside]["reason"]) == (False, "NotChecked")
        others = {"postgres", "kafka", "opensearch"} - {check}
        assert all(findings[other]["ok"] for other in others), findings


def test_missing_topic_is_named_and_fails_only_where_required(run: Run, kafka: KafkaSettings) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.kafka_brokers})
    for deletion in admin.delete_topics([RAW_TOPIC]).values():
        deletion.result(timeout=10)
    until(lambda: RAW_TOPIC not in admin.list_topics(timeout=10).topics)
    code, findings = run({})
    assert (code, findings["topics"]["reason"]) == (0, "Missing")
    assert findings["topics"]["message"] == f"there is no topic {RAW_TOPIC}: run `signals prepare`"
    assert run({}, "--require", "topics")[0] == 1


def test_too_few_brokers_are_reported_before_topics_are_created(run: Run) -> None:
    code, findings = run({"SIGNALS_REPLICATION_FACTOR": "3"})
    assert (code, findings["kafka"]["reason"]) == (1, "TooFewBrokers")
    assert findings["kafka"]["variable"] == "SIGNALS_REPLICATION_FACTOR"
    code, findings = run({"SIGNALS_REPLICATION_FACTOR": "1", "KAFKA_GROUP_PROTOCOL": "consumer"})
    assert (code, findings["kafka"]["ok"]) == (0, True)  # this broker is a Kafka 4
    _, findings = run({"SIGNALS_PARTITIONS": "5"})
    assert (findings["topics"]["ok"], findings["topics"]["reason"]) == (True, "FewerPartitions")


def test_schema_is_compared_with_this_release(run: Run, database: PostgresSettings) -> None:
    with psycopg.connect(conninfo(database), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO _yoyo_migration (migration_hash, migration_id) VALUES ('x', '9999.later')"
        )
        assert run({})[1]["schema"]["message"].startswith(
            "the schema is newer than this release (9999.later)"
        )
        connection.execute("DELETE FROM _yoyo_migration WHERE migration_id IN ('9999.later', '0009.limits')")
        assert verdicts(run({})[1])["schema"] == (False, "Pending")
        connection.execute("DROP TABLE _yoyo_migration")
        code, findings = run({})
    assert (code, findings["schema"]["reason"]) == (0, "Pending")


def test_missing_right_to_create_is_reported_while_needed(run: Run, database: PostgresSettings) -> None:
    address = database.database_url.get_secret_value()
    name = sql.Identifier("preflight_reader")
    with psycopg.connect(conninfo(database), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(name))
        try:
            connection.execute("DROP TABLE _yoyo_migration")
            host = address.rpartition("@")[2]
            code, findings = run({"DATABASE_URL": f"postgresql://preflight_reader:x@{host}"})
        finally:
            connection.execute(sql.SQL("DROP ROLE {}").format(name))
    assert (code, findings["postgres"]["reason"]) == (1, "NotAllowed")


def test_index_of_another_owner_is_reported(run: Run, opensearch: Client) -> None:
    opensearch.indices.delete(index=EVENTS_INDEX)
    assert verdicts(run({})[1])["index"] == (False, "Missing")
    opensearch.indices.create(
        index=EVENTS_INDEX, body={"mappings": {"properties": {"event_id": {"type": "text"}}}}
    )
    code, findings = run({})
    assert (code, findings["index"]["reason"]) == (0, "Foreign")
    opensearch.indices.delete(index=EVENTS_INDEX)


def test_index_of_an_earlier_release_waits_for_prepare(run: Run, opensearch: Client) -> None:
    opensearch.indices.put_mapping(index=EVENTS_INDEX, body={"_meta": {}})
    assert verdicts(run({})[1])["index"] == (False, "Pending")


def test_unserved_model_is_named_with_the_served_ones(run: Run, model: ModelServer) -> None:
    settings = {"GRADIENT_BASE_URL": model.base_url, "GRADIENT_API_KEY": "k"}
    code, findings = run(settings | {"GRADIENT_MODEL": "llama-b,llama-a"})
    assert (code, findings["model"]["reason"]) == (0, "Served")
    code, findings = run(settings | {"GRADIENT_MODEL": "llama-a,gone"})
    assert (code, findings["model"]["reason"], findings["model"]["variable"]) == (
        0,
        "Unknown",
        "GRADIENT_MODEL",
    )
    assert findings["model"]["message"] == (
        "there is no model gone: set GRADIENT_MODEL to one of llama-a, llama-b"
    )
    model.reply = Reply(status=401)
    code, findings = run(settings, "--require", "model")
    assert (code, findings["model"]["variable"]) == (1, "GRADIENT_API_KEY")
    elsewhere = {"GRADIENT_BASE_URL": model.base_url.removesuffix("/v1")}
    assert run(settings | elsewhere)[1]["model"]["variable"] == "GRADIENT_BASE_URL"
