"""An OpenID Connect provider for tests: Canaille, in memory, with two people and one client.

Run with the Python of requirements/provider.lock: PORT CALLBACK. People sign in at its own pages.
"""

import datetime
import os
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from flask import request
from joserfc.jwk import JWKRegistry

PORT, CALLBACK = int(sys.argv[1]), sys.argv[2]
key = JWKRegistry.generate_key("RSA", 2048)
key.ensure_kid()


class Quiet(WSGIRequestHandler):
    """Logs no request."""

    def log_request(self, *_: object) -> None:
        """Log nothing."""


def add_person(name: str, email: str) -> None:
    """Add a person whose password is `NAME-password`."""
    person = models.User(
        formatted_name=name.title(),
        family_name=name.title(),
        user_name=name,
        emails=[email],
        password=f"{name}-password",
    )
    Backend.instance.save(person)


def add_client(client_id: str, *audience: models.Client) -> models.Client:
    """Add a client that people need not agree to; its tokens are for `audience`, for itself without any."""
    client = models.Client(
        client_id=client_id,
        client_secret="a-secret-of-tests",
        client_id_issued_at=datetime.datetime.now(datetime.UTC),
        client_name=client_id,
        redirect_uris=[CALLBACK],
        grant_types=["authorization_code"],
        response_types=["code"],
        scope=["openid", "email", "profile"],
        token_endpoint_auth_method="client_secret_basic",
        client_uri="http://127.0.0.1",  # a trusted domain: people are not asked
    )
    Backend.instance.save(client)
    client.audience = list(audience) or [client]
    Backend.instance.save(client)
    return client


app = create_app(
    config={
        "ENV_FILE": None,
        "SECRET_KEY": os.urandom(16).hex(),
        "WTF_CSRF_ENABLED": False,
        "PREFERRED_URL_SCHEME": "http",
        "SERVER_NAME": f"localhost:{PORT}",
        "CANAILLE": {
            "DATABASE": "memory",
            "JAVASCRIPT": False,
            "ACL": {"DEFAULT": {"PERMISSIONS": ["use_oidc"]}},
        },
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [key.as_dict(private=True)]},
    }
)


@app.before_request  # type: ignore[untyped-decorator]  # canaille ships no types
def forget_older_codes() -> None:
    """Remove unused codes: this backend takes the first code of a client for every other one."""
    if request.path == "/oauth/authorize":
        for code in Backend.instance.query(models.AuthorizationCode):
            Backend.instance.delete(code)


with app.app_context():
    for person, address in (("ann", "ann@example.com"), ("eve", "eve@elsewhere.example")):
        add_person(person, address)
    ours = add_client("signals")
    add_client("astray", ours)
make_server("localhost", PORT, app, handler_class=Quiet).serve_forever()
