"""Turns a request into its principal. Every credential is read here: API keys now, sessions later."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Final

from starlette.requests import Request

from serve_apps.http.problems import Problem
from signals.domain.access.api_keys import Scope
from signals.domain.access.principal import Principal
from signals.services.access.authentication import Authenticating, KeyRefused, KeyVerdict

_REMEDIES: Final = {
    "missing": "Send your API key as `Authorization: Bearer <key>` or `X-API-Key: <key>`.",
    "unknown": "This API key does not exist; check it for typing errors.",
    "revoked": "This API key has been revoked; ask for a new one.",
}
_SCOPES: Final = {scope: frozenset({scope}) for scope in Scope}


class Authorizer:
    """Admits requests to endpoints; looks unknown keys up in `threads`, or in the loop's own if None."""

    def __init__(self, authenticating: Authenticating, threads: Executor | None = None) -> None:
        self._authenticating = authenticating
        self._threads = threads

    async def admit(self, request: Request, scope: Scope) -> Principal:
        """Return the caller, if it may use an endpoint that needs `scope`.

        Raises:
            Problem: 400 for two different keys, 401 for no valid key, 403 for the wrong scope.
            DependencyUnavailable: when the key is not cached and PostgreSQL does not answer.
        """
        key = api_key(request.headers)
        verdict = self._authenticating.check_cached(key)
        if verdict is None:
            loop = asyncio.get_running_loop()
            verdict = await loop.run_in_executor(self._threads, self._authenticating.check, key)
        return principal(verdict, scope)


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


def bearer_key(authorization: str | None) -> str | None:
    """Return the key of an `Authorization: Bearer` header, None when there is none.

    Source: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    """
    scheme, _, key = (authorization or "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def principal(verdict: KeyVerdict, scope: Scope) -> Principal:
    """Return the principal of a verdict, if its key is valid and has `scope`.

    Raises:
        Problem: 401 for a missing, unknown or revoked key, 403 for the wrong scope.
    """
    if isinstance(verdict, KeyRefused):
        code = f"{verdict.reason}_key"
        raise Problem(401, code, _REMEDIES[verdict.reason], headers={"WWW-Authenticate": "Bearer"})
    if verdict.scope is not scope:
        raise Problem(403, "wrong_scope", f"This is a key for {verdict.scope}; use one for {scope}.")
    return Principal(
        key_id=verdict.key_id, tenancy=verdict.tenancy, scopes=_SCOPES[verdict.scope], limits=verdict.limits
    )
