"""Commands about people's passwords, tokens and erasure."""

import json

from psycopg_pool import ConnectionPool

from signals.clients.postgres import Connection
from signals.services.access.authentication import KeyAuthenticator, KeyRefused, PersonGranted
from signals.services.access.passwords import PasswordAttempt, Passwords
from signals.services.access.signing_in import SignInRefused
from tests.integration.cli.conftest import Run
from tests.integration.core.conftest import Keys
from tests.support.events import TENANCY

EMAIL = "ann@example.com"
RIGHT = "correct horse battery"


def test_operator_gives_password_and_token_and_erases(
    run: Run, keys: Keys, pool: ConnectionPool[Connection]
) -> None:
    assert run("users", "add", EMAIL, "--org", TENANCY.org_id).exit_code == 0
    assert "is set" in run("users", "password", EMAIL, stdin=f"{RIGHT}\n").stdout
    attempt = PasswordAttempt(email=EMAIL, password=RIGHT, address="192.0.2.1", browser="")
    assert not isinstance(Passwords(pool).sign_in(attempt), SignInRefused)
    made = run("users", "tokens", "create", EMAIL, "--project", TENANCY.project_id, "--name", "script")
    token = made.stdout.strip()
    assert isinstance(KeyAuthenticator(pool).check(token), PersonGranted)
    (row,) = json.loads(run("users", "tokens", "list", "--json").stdout)
    assert run("users", "tokens", "revoke", row["token_id"]).exit_code == 0
    assert run("users", "tokens", "revoke", row["token_id"]).exit_code == 1
    assert KeyAuthenticator(pool).check(token) == KeyRefused("unknown")
    assert run("users", "password", EMAIL, "--remove").exit_code == 0
    assert run("users", "password", EMAIL, "--remove").exit_code == 1
    assert run("users", "erase", EMAIL).exit_code == 0
    assert EMAIL not in run("users", "list").stdout
