"""The environment file, and whose server an address means."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from signals.local.environment import (
    check_reachable,
    read_env_file,
    users_variables,
    without_password,
    write_env_file,
)
from signals.local.errors import LocalStackError
from signals.local.processes.ports import free_port

PEM = "-----BEGIN CERTIFICATE-----\nit's base64\n-----END CERTIFICATE-----\n"


def test_merge_keeps_foreign_lines(tmp_path: Path) -> None:
    path = tmp_path / "env"
    write_env_file(path, {"INGEST_API_URL": "http://127.0.0.1:8000", "KAFKA_BROKERS": "old:1"})
    write_env_file(path, {"KAFKA_BROKERS": "new:2", "PG_CA_CERT": ""})
    assert read_env_file(path) == {
        "INGEST_API_URL": "http://127.0.0.1:8000",
        "KAFKA_BROKERS": "new:2",
        "PG_CA_CERT": "",
    }


def test_variable_that_the_shell_lacks_stays_as_at_the_last_start() -> None:
    kept = {"GRADIENT_API_KEY": "first", "SIGNALS_OIDC_ISSUER": "https://id", "SIGNALS_SECRET_KEYS": "sealed"}
    assert users_variables({}, kept).items() >= kept.items()
    changed = users_variables({"GRADIENT_API_KEY": "second", "SIGNALS_OIDC_ISSUER": ""}, kept)
    assert changed["GRADIENT_API_KEY"] == "second"
    assert (
        changed["SIGNALS_OIDC_ISSUER"] == "https://id"
    )  # empty in a file that was sourced before it was set
    assert users_variables({"SIGNALS_SECRET_KEYS": ""}, kept)["SIGNALS_SECRET_KEYS"] == "sealed"
    assert users_variables({}, {})["SIGNALS_SECRET_KEYS"]


def test_file_is_private(tmp_path: Path) -> None:
    write_env_file(tmp_path / "env", {"A": "b"})
    assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600


@pytest.mark.parametrize("value", [PEM, "a b", "$HOME `id` \"quoted\" 'too' #x", "", "p@ss%20w=rd&x"])
def test_shell_and_reader_see_the_written_value(tmp_path: Path, value: str) -> None:
    path = tmp_path / "env"
    write_env_file(path, {"VALUE": value})
    assert read_env_file(path) == {"VALUE": value}
    script = f'set -a; . {path}; printf "%s|" "$VALUE"'
    shown = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert shown.stdout == f"{value}|"


@pytest.mark.parametrize(
    ("server", "variable", "address"),
    [
        ("postgres", "DATABASE_URL", "postgresql://u:p@127.0.0.1:{port}/db"),
        ("kafka", "KAFKA_BROKERS", "127.0.0.1:{port},localhost:{port}"),
        ("opensearch", "OPENSEARCH_URL", "https://127.0.0.1:{port}"),
    ],
)
def test_unreachable_own_server_is_named_by_its_variable(server: str, variable: str, address: str) -> None:
    environ = {variable: address.format(port=free_port())}
    with pytest.raises(
        LocalStackError, match=f"^{variable} names a server that cannot be reached: 127.0.0.1:"
    ):
        check_reachable(server, environ)


@pytest.mark.parametrize(
    ("server", "environ"),
    [("postgres", {"DATABASE_URL": "dbname=x"}), ("kafka", {"KAFKA_BROKERS": "host:port"})],
)
def test_malformed_address_is_reported(server: str, environ: dict[str, str]) -> None:
    with pytest.raises(LocalStackError, match="cannot be understood: it must look like"):
        check_reachable(server, environ)


def test_shown_address_has_no_password() -> None:
    assert (
        without_password("postgresql://signals:s3cret@127.0.0.1:5432/x")
        == "postgresql://signals:***@127.0.0.1:5432/x"
    )
    assert without_password("127.0.0.1:9092,127.0.0.1:9093") == "127.0.0.1:9092,127.0.0.1:9093"
