"""One OpenID Connect provider: where people are sent, and who comes back.

Sources: https://openid.net/specs/openid-connect-core-1_0.html (code flow), RFC 7636 (PKCE), RFC 9207.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from signals.clients.http_answers import may_succeed_later
from signals.domain.access.provider_identity import ProviderIdentity
from signals.errors import DependencyUnavailable

TIMEOUT_S: Final = 10.0  # guess: of one request; people wait for three at most
KEEP_S: Final = 3600.0  # guess: how long the provider's metadata and keys are kept
LEEWAY_S: Final = 60  # clocks of provider and replica; guess
SCOPES: Final = "openid email profile"
ALGORITHMS: Final = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
]
"""Signatures with a key of the provider alone: `none`, and those with our own secret, prove nothing."""
DEPENDENCY: Final = "sign-in provider"


class ProviderRefused(Exception):  # noqa: N818  # reads as what happened
    """The provider's answer proves nothing; the text says why, without what it held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAccount:
    """This installation at its provider, whose addresses are trusted without `email_verified` if so said."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    trusts_addresses: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFlow:
    """The secrets of one sign-in, which the browser keeps meanwhile."""

    state: str
    nonce: str
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Known:
    metadata: Mapping[str, Any]
    keys: KeySet
    until: float


class OpenIdProvider:
    """The provider of an installation, with its metadata and keys; safe to use from several threads."""

    def __init__(self, account: ProviderAccount, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._account = account
        self._clock = clock
        self._lock = threading.Lock()
        self._known: _Known | None = None

    def is_issuer(self, named: str) -> bool:
        """Tell whether an answer that names its issuer is this provider's. Source: RFC 9207."""
        return named == self._account.issuer

    def address(self, flow: ProviderFlow, *, callback: str) -> str:
        """Return where to send the browser.

        Raises:
            DependencyUnavailable: when the provider does not answer.
            ProviderRefused: when what it says about itself does not fit the settings.
        """
        endpoint = str(self._provider().metadata["authorization_endpoint"])
        with self._client(callback) as client:
            url, _ = client.create_authorization_url(
                endpoint, state=flow.state, nonce=flow.nonce, code_verifier=flow.verifier
            )
        return str(url)

    def identity(self, code: str, flow: ProviderFlow, *, callback: str) -> ProviderIdentity:
        """Use a code up and return whom it stands for.

        Raises:
            DependencyUnavailable: when the provider does not answer.
            ProviderRefused: when the code was used, is another flow's, or the token does not hold.
        """
        known = self._provider()
        try:
            with self._client(callback) as client:
                token = client.fetch_token(
                    str(known.metadata["token_endpoint"]), code=code, code_verifier=flow.verifier
                )
        except httpx2.HTTPError as error:
            raise DependencyUnavailable(DEPENDENCY, type(error).__name__) from error
        except (AuthlibBaseError, ValueError, KeyError) as error:
            reason = getattr(error, "error", "") or type(error).__name__
            raise ProviderRefused(f"the provider did not accept the code ({reason})") from error
        if not isinstance(token.get("id_token"), str):
            raise ProviderRefused("the provider sent no ID token")
        return self._checked(token, flow.nonce, known)

    def _checked(self, token: Mapping[str, Any], nonce: str, known: _Known) -> ProviderIdentity:
        try:
            claims = self._claims(token["id_token"], known)
            account = self._account
            options = {
                "iss": {"essential": True, "values": [account.issuer]},
                "aud": {"essential": True, "values": [account.client_id]},
            }
            parameters = {
                "nonce": nonce,
                "client_id": account.client_id,
                "access_token": token.get("access_token"),
            }
            checked = CodeIDToken(claims.claims, claims.header, options, parameters)
            checked.validate(leeway=LEEWAY_S)
        except (JoseError, ValueError, TypeError) as error:
            claim = getattr(error, "claim", None) or getattr(error, "error", type(error).__name__)
            raise ProviderRefused(f"the provider's ID token does not hold ({claim})") from error
        return identity_of(self._with_userinfo(checked, token, known), account.trusts_addresses)

    def _with_userinfo(
        self, claims: Mapping[str, Any], token: Mapping[str, Any], known: _Known
    ) -> Mapping[str, Any]:
        """Ask for the address where the ID token has none, as with providers that keep it short."""
        endpoint, access = known.metadata.get("userinfo_endpoint"), token.get("access_token")
        if "email" in claims or not isinstance(access, str) or not _is_protected(str(endpoint)):
            return claims
        found = self._document(str(endpoint), {"Authorization": f"Bearer {access}"})
        if found.get("sub") != claims.get("sub"):
            raise ProviderRefused("the provider's answers are about two different people")
        return {**found, **claims}

    def _claims(self, text: str, known: _Known) -> jwt.Token:
        registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        try:
            return jwt.decode(text, known.keys, registry=registry)
        except InvalidKeyIdError:  # the provider has a new key
            with self._lock:
                self._known = None
            return jwt.decode(text, self._provider().keys, registry=registry)

    def _provider(self) -> _Known:
        with self._lock:
            if self._known is None or self._clock() >= self._known.until:
                self._known = self._asked()
            return self._known

    def _asked(self) -> _Known:
        issuer = self._account.issuer
        metadata = self._document(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if metadata.get("issuer") != issuer:
            raise ProviderRefused("the provider's metadata names another issuer than SIGNALS_OIDC_ISSUER")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not _is_protected(str(metadata.get(name, ""))):
                raise ProviderRefused(f"the provider's {name} is no https address")
        try:
            keys = KeySet.import_key_set(dict(self._document(str(metadata["jwks_uri"]))))  # type: ignore[arg-type]
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise ProviderRefused("the provider's keys cannot be read") from error
        return _Known(metadata, keys, self._clock() + KEEP_S)

    def _document(self, url: str, headers: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        try:
            answer = httpx2.get(url, headers=headers, timeout=TIMEOUT_S, follow_redirects=False)
            answer.raise_for_status()
            found = answer.json()
        except httpx2.HTTPStatusError as error:
            if may_succeed_later(error.response.status_code):
                raise DependencyUnavailable(DEPENDENCY, type(error).__name__) from error
            raise ProviderRefused(f"the provider answered {error.response.status_code} at {url}") from error
        except httpx2.HTTPError as error:
            raise DependencyUnavailable(DEPENDENCY, type(error).__name__) from error
        except ValueError as error:
            raise ProviderRefused("the provider's answer is no JSON") from error
        if not isinstance(found, dict):
            raise ProviderRefused("the provider's answer is no JSON object")
        return found

    def _client(self, callback: str) -> OAuth2Client:
        account = self._account
        return OAuth2Client(
            client_id=account.client_id,
            client_secret=account.client_secret,
            scope=SCOPES,
            redirect_uri=callback,
            code_challenge_method="S256",
            timeout=TIMEOUT_S,
            follow_redirects=False,
        )


def identity_of(claims: Mapping[str, Any], trusts_addresses: bool) -> ProviderIdentity:
    """Read the checked claims of an ID token.

    Raises:
        ProviderRefused: when there is no subject.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        raise ProviderRefused("the provider's ID token names no subject")
    email, name = claims.get("email"), claims.get("name")
    return ProviderIdentity(
        issuer=str(claims["iss"]),
        subject=subject,
        email=email if isinstance(email, str) else "",
        is_verified=claims.get("email_verified", trusts_addresses) is True,
        name=name if isinstance(name, str) else "",
    )


def _is_protected(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
    )
