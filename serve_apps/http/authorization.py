"""From a request's API key to a tenant, or to the problem that says why not."""

from collections.abc import Mapping

from serve_apps.http.problems import Problem
from signals.domain.access.api_keys import Scope
from signals.services.access.authentication import Granted, Refused, Verdict

_WHY = {
    "missing": "Send your API key as `Authorization: Bearer <key>` or `X-API-Key: <key>`.",
    "unknown": "This API key does not exist; check it for typing errors.",
    "revoked": "This API key has been revoked; ask for a new one.",
}


def bearer_key(authorization: str | None) -> str | None:
    """Return the key of an `Authorization: Bearer` header, None when there is none.

    Source: https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    """
    scheme, _, key = (authorization or "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def api_key(headers: Mapping[str, str]) -> str | None:
    """Return the key of a request, from `Authorization: Bearer` or `X-API-Key`; None when there is none."""
    return bearer_key(headers.get("authorization")) or headers.get("x-api-key", "").strip() or None


def require(verdict: Verdict, scope: Scope) -> Granted:
    """Return the grant, if the key is valid and has `scope`.

    Raises:
        Problem: 401 for a key that opens nothing, 403 for the wrong scope.
    """
    if isinstance(verdict, Refused):
        code = f"{verdict.reason}_key"
        raise Problem(401, code, _WHY[verdict.reason], headers={"WWW-Authenticate": "Bearer"})
    if verdict.scope is not scope:
        raise Problem(403, "wrong_scope", f"This is a key for {verdict.scope}; use one for {scope}.")
    return verdict
