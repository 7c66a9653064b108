"""ID tokens that prove nothing, from a provider that sends what a test says."""

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from signals.clients.openid import OpenIdProvider, ProviderAccount, ProviderFlow, ProviderRefused
from signals.domain.access.provider_identity import ProviderIdentity
from signals.errors import DependencyUnavailable
from signals.local.processes.ports import free_port

SECRET: Final = "a-secret-of-tests-that-is-long-enough"
CLIENT: Final = "signals"
FLOW: Final = ProviderFlow(state="s" * 43, nonce="n" * 43, verifier="v" * 43)
CALLBACK: Final = "https://signals.example/console/sign-in/provider/callback"


@dataclass
class Provider:
    """Answers on loopback with the documents that a test sets."""

    issuer: str = ""
    keys: list[RSAKey] = field(default_factory=lambda: [_key("one")])
    metadata: dict[str, Any] = field(default_factory=dict)
    token: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def document(self, path: str) -> Mapping[str, Any]:
        """Return what stands at a path."""
        self.asked.append(path)
        if path == "/jwks":
            return {"keys": [key.as_dict(private=False) for key in self.keys]}
        if path == "/token":
            return {"access_token": "a", "token_type": "Bearer"} | self.token
        if path == "/userinfo":
            return self.userinfo
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
        } | self.metadata

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Return the claims of a good token with some changed; None leaves one out."""
        now = int(time.time())
        usual = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "ann",
            "exp": now + 300,
            "iat": now,
            "nonce": FLOW.nonce,
            "email": "ann@example.com",
            "email_verified": True,
        }
        return {name: value for name, value in (usual | changed).items() if value is not None}

    def signed(self, claims: dict[str, Any], *, algorithm: str = "RS256") -> None:
        """Let the token hold these claims."""
        key = self.keys[-1]
        header = {"alg": algorithm, "kid": key.kid}
        self.token = {"id_token": jwt.encode(header, claims, key, algorithms=[algorithm])}


def _key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A provider with one key."""
    found = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(found.document(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.issuer = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def unsigned(claims: dict[str, Any]) -> str:
    """Write a token that has no signature."""
    parts = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "none"}, claims)]
    return b".".join([*parts, b""]).decode()


def identity(provider: Provider, **account: Any) -> ProviderIdentity:
    """Use a code up at the provider."""
    usual = {"issuer": provider.issuer, "client_id": CLIENT, "client_secret": SECRET}
    return OpenIdProvider(ProviderAccount(**(usual | account))).identity("code", FLOW, callback=CALLBACK)


def test_good_token_names_the_person(provider: Provider) -> None:
    provider.signed(provider.claims(name="Ann Lee"))
    assert identity(provider) == ProviderIdentity(
        issuer=provider.issuer, subject="ann", email="ann@example.com", is_verified=True, name="Ann Lee"
    )


WRONG: Final[dict[str, Callable[[str], dict[str, Any]]]] = {
    "nonce": lambda _: {"nonce": "m" * 43},
    "no nonce": lambda _: {"nonce": None},
    "issuer": lambda issuer: {"iss": f"{issuer}/other"},
    "audience": lambda _: {"aud": "other"},
    "no audience": lambda _: {"aud": None},
    "empty audience": lambda _: {"aud": []},
    "for several, sent by another": lambda _: {"aud": [CLIENT, "other"], "azp": "other"},
    "for several, sent by none": lambda _: {"aud": [CLIENT, "other"]},
    "expired": lambda _: {"exp": int(time.time()) - 120},
    "never expires": lambda _: {"exp": None},
    "from the future": lambda _: {"iat": int(time.time()) + 3600},
    "not yet": lambda _: {"nbf": int(time.time()) + 3600},
    "no subject": lambda _: {"sub": None},
    "subject of another type": lambda _: {"sub": 7},
    "hash of another access token": lambda _: {"at_hash": "x" * 22},
}


@pytest.mark.parametrize("changed", WRONG.values(), ids=WRONG)
def test_token_with_wrong_claims_is_refused(
    provider: Provider, changed: Callable[[str], dict[str, Any]]
) -> None:
    provider.signed(provider.claims(**changed(provider.issuer)))
    with pytest.raises(ProviderRefused, match=r"does not hold|no subject"):
        identity(provider)


def test_token_that_the_provider_did_not_sign_is_refused(provider: Provider) -> None:
    claims = provider.claims()
    stranger = _key("one")
    forged = [
        jwt.encode({"alg": "RS256", "kid": "one"}, claims, stranger),
        jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET)),  # by our own secret
        unsigned(claims),
        "",
        "a.b.c",
    ]
    for text in forged:
        provider.token = {"id_token": text}
        with pytest.raises(ProviderRefused):
            identity(provider)
    provider.token = {}
    with pytest.raises(ProviderRefused, match="no ID token"):
        identity(provider)


def test_new_key_of_the_provider_is_fetched_once(provider: Provider) -> None:
    known = OpenIdProvider(ProviderAccount(issuer=provider.issuer, client_id=CLIENT, client_secret=SECRET))
    for _ in range(2):
        provider.signed(provider.claims())
        known.identity("code", FLOW, callback=CALLBACK)
    assert provider.asked.count("/jwks") == 1
    provider.keys.append(_key("two"))
    provider.signed(provider.claims())
    known.identity("code", FLOW, callback=CALLBACK)
    assert provider.asked.count("/jwks") == 2


def test_address_is_asked_for_where_the_token_has_none(provider: Provider) -> None:
    provider.signed(provider.claims(email=None, email_verified=None))
    provider.userinfo = {"sub": "ann", "email": "ann@example.com", "email_verified": True}
    assert identity(provider).email == "ann@example.com"
    provider.userinfo["sub"] = "eve"
    with pytest.raises(ProviderRefused, match="two different people"):
        identity(provider)


@pytest.mark.parametrize(
    ("said", "trusts", "is_verified"),
    [
        (True, False, True),
        (None, False, False),
        (None, True, True),
        (False, True, False),
        ("true", True, False),
    ],
)
def test_address_counts_as_verified_by_the_providers_word(
    provider: Provider, said: object, trusts: bool, is_verified: bool
) -> None:
    provider.signed(provider.claims(email_verified=said))
    assert identity(provider, trusts_addresses=trusts).is_verified is is_verified


@pytest.mark.parametrize(
    "metadata",
    [{"issuer": "http://127.0.0.1:1"}, {"token_endpoint": "http://other.example/token"}, {"jwks_uri": None}],
)
def test_provider_that_describes_itself_wrongly_is_refused(
    provider: Provider, metadata: dict[str, Any]
) -> None:
    provider.metadata = metadata
    with pytest.raises(ProviderRefused):
        identity(provider)


def test_provider_that_is_away_is_a_dependency(provider: Provider) -> None:
    with pytest.raises(DependencyUnavailable, match="sign-in provider"):
        identity(provider, issuer=f"http://127.0.0.1:{free_port()}")
