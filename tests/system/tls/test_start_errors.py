"""A fault at start is one sentence that names the variable: no stack trace, no secret, exit code 1."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from signals import cli
from signals.local.processes.ports import free_port
from signals.local.stack import RunningStack
from signals.ray_node.variables import HOST
from tests.system.tls import secure_kafka, secure_opensearch
from tests.system.tls.certificates import NAME, Certificates
from tests.system.tls.secure_kafka import Brokers
from tests.system.tls.secure_opensearch import SecureOpenSearch
from tests.system.tls.secure_postgres import SecurePostgres

WRONG = "wr0ng-s3cret"
DAMAGED = "-----BEGIN CERTIFICATE-----\nMIIBdzCCAR2gAwIBAgIUE3wM\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n"
SECRETS = (secure_kafka.PASSWORD, secure_opensearch.PASSWORD, "postgres-s3cret", WRONG, "MII", "MIG")

UNTRUSTED = "no trusted CA has signed its certificate: set {ca} to the CA that did"
WRONG_NAME = "its certificate is for another host name: write that name into {address}"
EXPIRED = "its certificate or the CA in {ca} has expired, or is not valid yet: renew it"
LOGIN = "it refuses user and password: check {login}"
NOT_TLS = "it does not speak TLS on this port: correct the port in {address}, or set {plain}"
TLS_WANTED = "it wants TLS on this port: set {encrypted}"
UNREACHABLE = "nothing answers there: check host and port in {address}, and that the server runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One fault: wrong variables, and the expected message."""

    name: str
    change: Mapping[str, str]
    sentence: str


def _start(capsys: pytest.CaptureFixture[str]) -> str:
    """Run `signals prepare` here and return its complaint."""
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def _check(said: str, *expected: str) -> None:
    assert said.count("\n") == 1, said
    assert said.startswith("signals: ")
    assert "Traceback" not in said
    assert not [secret for secret in SECRETS if secret in said]
    for part in expected:
        assert part in said


@pytest.fixture
def environment(
    servers: RunningStack, database: object, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Mapping[str, str]], None]:
    """Set the variables of `signals prepare`: the session's plain servers, with the given changes."""

    def set_variables(changes: Mapping[str, str]) -> None:
        for name, value in {**servers.environment, **changes}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["signals", "prepare"])

    return set_variables


@pytest.fixture
def dead_port() -> int:
    """A port without a listener."""
    return free_port()


def _missing_file(variable: str) -> Case:
    said = f"{variable}: cannot read /nowhere/ca.pem (No such file or directory): set a path or PEM text"
    return Case(name="missing CA file", change={variable: "/nowhere/ca.pem"}, sentence=said)


def _damaged(variable: str) -> list[Case]:
    copy = f"{variable}: its PEM text is damaged; copy the whole certificate"
    return [
        Case(name="damaged CA", change={variable: DAMAGED}, sentence=copy),
        Case(
            name="key as CA",
            change={variable: KEY},
            sentence=f"{variable}: this PEM text holds no certificate",
        ),
    ]


def _ca_cases(variable: str, certificates: Certificates) -> list[Case]:
    names = {"ca": variable}
    return [
        Case(name="wrong CA", change={variable: certificates.other_ca}, sentence=UNTRUSTED.format(**names)),
        Case(name="no CA", change={variable: ""}, sentence=UNTRUSTED.format(**names)),
        _missing_file(variable),
        *_damaged(variable),
    ]


def test_each_postgresql_fault_is_one_sentence(
    secure_database: SecurePostgres,
    certificates: Certificates,
    environment: Callable[[Mapping[str, str]], None],
    capsys: pytest.CaptureFixture[str],
    dead_port: int,
) -> None:
    server, at = secure_database, "DATABASE_URL"
    names = {
        "address": at,
        "ca": "PG_CA_CERT",
        "login": at,
        "plain": "PG_SSLMODE=disable",
        "encrypted": "PG_SSLMODE=verify-full and PG_CA_CERT",
    }
    right = {at: server.url(), "PG_CA_CERT": certificates.ca, "PG_SSLMODE": "verify-full"}
    cases = [
        *_ca_cases("PG_CA_CERT", certificates)[:1],
        _missing_file("PG_CA_CERT"),
        *_damaged("PG_CA_CERT"),
        Case(name="wrong host name", change={at: server.url(host=HOST)}, sentence=WRONG_NAME),
        Case(name="wrong password", change={at: server.url(password=WRONG)}, sentence=LOGIN),
        Case(name="unknown user", change={at: server.url(user="nobody_here")}, sentence=LOGIN),
        Case(
            name="unknown database",
            change={at: server.url() + "_missing"},
            sentence="it has no such database: check DATABASE_URL",
        ),
        Case(name="TLS wanted", change={"PG_SSLMODE": "disable", "PG_CA_CERT": ""}, sentence=TLS_WANTED),
        Case(
            name="unreachable",
            change={at: server.url().replace(str(server.port), str(dead_port))},
            sentence=UNREACHABLE,
        ),
        Case(name="unknown host", change={at: server.url(host="nowhere.invalid")}, sentence=UNREACHABLE),
        Case(
            name="slash in the password",
            change={at: f"postgresql://{HOST}:{WRONG}/@h/x"},
            sentence="DATABASE_URL has no such port: write it like",
        ),
    ]
    _run(cases, right, names, environment, capsys)
    server.show(certificates.expired)
    _run([Case(name="expired", change={}, sentence=EXPIRED)], right, names, environment, capsys)


def test_each_fault_of_kafka_is_one_sentence(
    brokers: Brokers,
    certificates: Certificates,
    environment: Callable[[Mapping[str, str]], None],
    capsys: pytest.CaptureFixture[str],
    dead_port: int,
) -> None:
    at = "KAFKA_BROKERS"
    names = {
        "address": at,
        "ca": "KAFKA_CA_CERT",
        "login": "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD",
        "plain": "KAFKA_SECURITY_PROTOCOL=PLAINTEXT",
        "encrypted": "KAFKA_SECURITY_PROTOCOL=SASL_SSL",
    }
    right = {
        at: f"{NAME}:{brokers.valid}",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
        "KAFKA_SASL_USERNAME": secure_kafka.USER,
        "KAFKA_SASL_PASSWORD": secure_kafka.PASSWORD,
        "KAFKA_CA_CERT": certificates.ca,
    }
    unencrypted = {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT", "KAFKA_CA_CERT": ""}
    cases = [
        *_ca_cases("KAFKA_CA_CERT", certificates),
        Case(name="expired", change={at: f"{NAME}:{brokers.expired}"}, sentence=EXPIRED),
        Case(name="wrong host name", change={at: f"{HOST}:{brokers.valid}"}, sentence=WRONG_NAME),
        Case(name="wrong password", change={"KAFKA_SASL_PASSWORD": WRONG}, sentence=LOGIN),
        Case(name="unknown user", change={"KAFKA_SASL_USERNAME": "nobody"}, sentence=LOGIN),
        Case(name="no password", change={"KAFKA_SASL_PASSWORD": ""}, sentence="KAFKA_SASL_PASSWORD"),
        Case(
            name="wrong mechanism",
            change={"KAFKA_SASL_MECHANISM": "SCRAM-SHA-512"},
            sentence="it does not offer this way to log in: set KAFKA_SASL_MECHANISM",
        ),
        Case(name="plain port", change={at: f"{NAME}:{brokers.plain}"}, sentence=NOT_TLS),
        Case(name="TLS wanted", change=unencrypted, sentence=TLS_WANTED),
        Case(
            name="CA without TLS",
            change={"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"},
            sentence="set KAFKA_SECURITY_PROTOCOL: KAFKA_CA_CERT is of no use with PLAINTEXT",
        ),
        Case(name="unreachable", change={at: f"{NAME}:{dead_port}"}, sentence=UNREACHABLE),
        Case(name="unknown host", change={at: "nowhere.invalid:9092"}, sentence=UNREACHABLE),
    ]
    _run(cases, right, names, environment, capsys)


def test_each_fault_of_opensearch_is_one_sentence(
    secure_search: SecureOpenSearch,
    kafka: object,
    certificates: Certificates,
    environment: Callable[[Mapping[str, str]], None],
    capsys: pytest.CaptureFixture[str],
    dead_port: int,
) -> None:
    at, search = "OPENSEARCH_URL", secure_search
    names = {
        "address": at,
        "ca": "OPENSEARCH_CA_CERT",
        "login": "OPENSEARCH_USER and OPENSEARCH_PASS",
        "plain": "OPENSEARCH_URL to http://",
        "encrypted": "OPENSEARCH_URL to https://",
    }
    right = {
        at: search.url(),
        "OPENSEARCH_USER": secure_opensearch.USER,
        "OPENSEARCH_PASS": secure_opensearch.PASSWORD,
        "OPENSEARCH_CA_CERT": certificates.ca,
    }
    cases = [
        *_ca_cases("OPENSEARCH_CA_CERT", certificates),
        Case(name="expired", change={at: f"https://{NAME}:{search.expired}"}, sentence=EXPIRED),
        Case(name="wrong host name", change={at: search.url(host=HOST)}, sentence=WRONG_NAME),
        Case(name="wrong password", change={"OPENSEARCH_PASS": WRONG}, sentence=LOGIN),
        Case(name="unknown user", change={"OPENSEARCH_USER": "nobody"}, sentence=LOGIN),
        Case(name="no password", change={"OPENSEARCH_PASS": ""}, sentence="OPENSEARCH_PASS"),
        Case(name="plain port", change={at: f"https://{NAME}:{search.plain}"}, sentence=NOT_TLS),
        Case(
            name="TLS wanted",
            change={at: search.url(scheme="http"), "OPENSEARCH_CA_CERT": ""},
            sentence=TLS_WANTED,
        ),
        Case(
            name="CA without TLS",
            change={at: search.url(scheme="http")},
            sentence="set OPENSEARCH_URL to https://…: OPENSEARCH_CA_CERT is of no use with http://",
        ),
        Case(name="no scheme", change={at: f"{NAME}:{search.valid}"}, sentence="OPENSEARCH_URL: write it"),
        Case(name="unreachable", change={at: f"https://{NAME}:{dead_port}"}, sentence=UNREACHABLE),
        Case(name="unknown host", change={at: "https://nowhere.invalid:9200"}, sentence=UNREACHABLE),
    ]
    _run(cases, right, names, environment, capsys)


def _run(
    cases: list[Case],
    right: Mapping[str, str],
    names: Mapping[str, str],
    environment: Callable[[Mapping[str, str]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong: list[str] = []
    for case in cases:
        environment({**right, **case.change})
        said = _start(capsys)
        try:
            _check(said, case.sentence.format(**names))
        except AssertionError:
            wrong.append(f"{case.name}: {said.strip()}")
    assert not wrong, "\n".join(wrong)
