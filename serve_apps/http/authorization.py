"""Turns a request into its principal: an API key, or the token of a person. A session opens no endpoint."""

import asyncio
import base64
import re
from collections.abc import Collection, Mapping
from concurrent.futures import Executor
from typing import Final

from starlette.requests import Request

from serve_apps.http.problems import Problem
from signals.domain.access.api_keys import scope_of
from signals.domain.access.people import ROLE_RIGHTS
from signals.domain.access.principal import Principal
from signals.domain.access.scopes import Right, scopes_with
from signals.services.access.authentication import KeyAuthenticator, KeyRefused, KeyVerdict, PersonGranted

_SENTRY_KEY: Final = re.compile(r"Sentry\s(?:.*?[\s,])?sentry_key=([^,\s]+)", re.IGNORECASE)
_REMEDIES: Final = {
    "missing": "Send your API key as `Authorization: Bearer <key>` or `X-API-Key: <key>`.",
    "unknown": "This API key does not exist; check it for typing errors. A person's token may have expired.",
    "revoked": "This API key has been revoked; ask for a new one.",
}


class Authorizer:
    """Admits requests to endpoints; looks unknown keys up in `threads`, or in the loop's own if None."""

    def __init__(self, authenticator: KeyAuthenticator, threads: Executor | None = None) -> None:
        self._authenticator = authenticator
        self._threads = threads

    async def admit(self, request: Request, right: Right) -> Principal:
        """Return the caller, if it may use an endpoint that needs `right`.

        Raises:
            Problem: 400 for two different keys, 401 for no valid key, 403 for a scope without the right.
            DependencyUnavailable: when the key is not cached and PostgreSQL does not answer.
        """
        return await self.admit_key(api_key(request.headers), right)

    async def admit_key(self, key: str | None, right: Right) -> Principal:
        """Return whose key it is, wherever in a request it stood; raises as `admit` does."""
        verdict = self._authenticator.check_cached(key)
        if verdict is None:
            loop = asyncio.get_running_loop()
            verdict = await loop.run_in_executor(self._threads, self._authenticator.check, key)
        return principal(verdict, right)


def api_key(headers: Mapping[str, str]) -> str | None:
    """Return the API key of a request, None when there is none.

    Raises:
        Problem: 400 when the two headers carry different keys.
    """
    bearer = bearer_key(headers.get("authorization"))
    plain = headers.get("x-api-key", "").strip() or None
    if bearer and plain and bearer != plain:
        raise Problem(
            400,
            "conflicting_keys",
            "Authorization and X-API-Key carry different keys; send only one of them.",
        )
    return bearer or plain


def foreign_keys(request: Request, *, any_user: bool = False) -> set[str]:
    """Return the keys in all places where clients of other products put one, the body excepted.

    A user of Basic is a key if it looks like one of ours, or with `any_user`: browsers send the name of a
    person to a host that asked for a password.

    Sources: RFC 7617 (Basic), https://develop.sentry.dev/sdk/overview/#authentication.
    """
    headers, query = request.headers, request.query_params
    authorization = headers.get("authorization")
    found = {
        bearer_key(authorization),
        headers.get("x-api-key", "").strip(),
        _sentry_key(authorization),
        _sentry_key(headers.get("x-sentry-auth")),
        query.get("sentry_key"),
        query.get("key"),
    }
    user = _basic_user(authorization)
    if user and (any_user or scope_of(user)):
        found.add(user)
    return {key for key in found if key}


def only_key(keys: Collection[str]) -> str | None:
    """Return the key of a request, None when it has none.

    Raises:
        Problem: 403 when it has two different ones.
    """
    if len(keys) > 1:
        raise Problem(403, "conflicting_keys", "The request carries different keys; send only one of them.")
    return next(iter(keys), None)


def _basic_user(authorization: str | None) -> str | None:
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        padded = credentials.strip() + "=" * (-len(credentials.strip()) % 4)  # some clients leave it out
        return base64.b64decode(padded, validate=True).decode("utf-8").partition(":")[0].strip()
    except ValueError:
        return None


def _sentry_key(header: str | None) -> str | None:
    """Return the key of `Sentry sentry_key=…, sentry_version=7`."""
    match = _SENTRY_KEY.match(header or "")
    return match[1] if match else None


def bearer_key(authorization: str | None) -> str | None:
    """Return the key of an `Authorization: Bearer` header, None when there is none.

    Source: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    """
    scheme, _, key = (authorization or "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def principal(verdict: KeyVerdict, right: Right) -> Principal:
    """Return the principal of a verdict, if its key is valid and has `right`.

    Raises:
        Problem: 401 for a missing, unknown or revoked key, 403 for a scope without the right.
    """
    if isinstance(verdict, KeyRefused):
        code = f"{verdict.reason}_key"
        raise Problem(401, code, _REMEDIES[verdict.reason], headers={"WWW-Authenticate": "Bearer"})
    if isinstance(verdict, PersonGranted):
        return _person(verdict, right)
    if right not in verdict.rights:
        detail = f"This is a key of scope {verdict.scope}; use one of scope {scopes_with(right)}."
        raise Problem(403, "wrong_scope", detail)
    return Principal(
        key_id=verdict.key_id,
        tenancy=verdict.tenancy,
        rights=verdict.rights,
        standing=verdict.scope,
        limits=verdict.limits,
        origins=verdict.origins,
        doors=verdict.doors,
    )


def _person(verdict: PersonGranted, right: Right) -> Principal:
    rights = ROLE_RIGHTS[verdict.role]
    if right not in rights:
        detail = f"This is a token of a person who is {verdict.role} here, which does not allow to {right}."
        raise Problem(403, "role", detail)
    return Principal(
        key_id=verdict.token_id,
        user_id=verdict.user_id,
        tenancy=verdict.tenancy,
        rights=rights,
        standing=verdict.role,
    )
