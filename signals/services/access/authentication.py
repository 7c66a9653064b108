"""Says whose API key it is, from an in-process cache of verdicts with PostgreSQL behind it.

A revoked key may go on working for the positive lifetime: that is the price of no query per request.
The token of a person is looked up each time: who leaves is out at once.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

import structlog
from psycopg_pool import ConnectionPool

from shared_types import Tenancy
from signals.clients.postgres import REQUEST_TIMEOUT_MS, Connection, transaction
from signals.domain.access.api_keys import is_person_token, key_hash, scope_of
from signals.domain.access.limits import NO_LIMITS, PUBLIC_LIMITS, KeyLimits
from signals.domain.access.people import Role
from signals.domain.access.scopes import OPTIONAL_RIGHTS, RIGHT_TO_SEND, RIGHTS, Right, Scope
from signals.domain.events.door_settings import DEFAULT_SETTINGS, DoorSettings
from signals.errors import DependencyUnavailable
from signals.store.access import api_keys, person_tokens

NEGATIVE_S: Final = 10.0  # guess: a key created a moment ago works soon
MAX_STALE_S: Final = 600.0  # guess: how old a verdict may be while PostgreSQL is away
OUTAGE_PAUSE_S: Final = 5.0  # guess: while PostgreSQL is away, old verdicts are used this long without asking
LAST_USED_EVERY_S: Final = 30.0  # guess: how exact last_used_at is; one statement a replica
MAX_VERDICTS: Final = 10_000  # of each sort: a few MB at most

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyGranted:
    """The key is valid; its rights are for the caller to compare."""

    key_id: UUID
    tenancy: Tenancy
    scope: Scope
    rights: frozenset[Right]
    limits: KeyLimits = NO_LIMITS
    origins: tuple[str, ...] = ()
    doors: DoorSettings = DEFAULT_SETTINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonGranted:
    """The token of a person is valid; `role` is what they are at this moment."""

    user_id: UUID
    token_id: UUID
    tenancy: Tenancy
    role: Role


@dataclass(frozen=True, slots=True)
class KeyRefused:
    """The key opens nothing, and why."""

    reason: Literal["missing", "unknown", "revoked"]


KeyVerdict = KeyGranted | PersonGranted | KeyRefused


@dataclass(slots=True)
class _Entry:
    verdict: KeyVerdict
    asked_at: float  # monotonic seconds
    fresh_until: float


class _Verdicts:
    """A least-recently-used map from key hash to verdict."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def get(self, digest: str) -> _Entry | None:
        entry = self._entries.get(digest)
        if entry is not None:
            self._entries.move_to_end(digest)
        return entry

    def put(self, digest: str, entry: _Entry) -> None:
        self._entries[digest] = entry
        self._entries.move_to_end(digest)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def drop(self, digest: str) -> None:
        self._entries.pop(digest, None)


class KeyAuthenticator:
    """Verdicts on keys, shared by all requests of a process; safe to call from several threads."""

    def __init__(
        self,
        pool: ConnectionPool[Connection],
        cache_s: float = 60.0,
        *,
        default_limits: KeyLimits = NO_LIMITS,
        max_verdicts: int = MAX_VERDICTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._cache_s = cache_s
        self._default_limits = default_limits
        self._clock = clock
        self._lock = threading.Lock()
        # Apart, so that a flood of wrong keys cannot push the right ones out.
        self._granted = _Verdicts(max_verdicts)
        self._refused = _Verdicts(max_verdicts)
        self._asking: set[str] = set()
        self._used: set[UUID] = set()

    def check_cached(self, key: str | None) -> KeyVerdict | None:
        """Return a verdict that needs no I/O, None when `check` must be asked; never blocks on I/O."""
        if not key:
            return KeyRefused("missing")
        if scope_of(key) is None and not is_person_token(key):
            return KeyRefused("unknown")
        digest = key_hash(key)
        with self._lock:
            entry = self._granted.get(digest) or self._refused.get(digest)
            if entry is None or self._clock() >= entry.fresh_until:
                return None
            return self._used_now(entry.verdict)

    def check(self, key: str | None) -> KeyVerdict:
        """Return the verdict on `key`, from PostgreSQL when the cache has none.

        While PostgreSQL is away known keys keep their verdict for up to `MAX_STALE_S`.

        Raises:
            DependencyUnavailable: when PostgreSQL is away and the key is not known here.
        """
        verdict = self.check_cached(key)
        if verdict is not None or not key:
            return verdict or KeyRefused("missing")
        digest = key_hash(key)
        with self._lock:
            known = self._granted.get(digest)
            if known is not None and digest in self._asking and self._still_usable(known):
                return self._used_now(known.verdict)  # a query is under way: do not queue behind an outage
            self._asking.add(digest)
        try:
            return self._look_up(key, digest)
        except DependencyUnavailable as error:
            return self._stale_verdict(digest, error)
        finally:
            with self._lock:
                self._asking.discard(digest)

    def flush_last_used(self) -> int:
        """Write `last_used_at` of the keys used since the last call, in one statement; return how many.

        The instant written is that of the call: callers repeat it every `LAST_USED_EVERY_S`.

        Raises:
            DependencyUnavailable: the keys are remembered for the next call.
        """
        with self._lock:
            used, self._used = self._used, set()
        if not used:
            return 0
        try:
            with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
                return api_keys.touch(connection, list(used))
        except DependencyUnavailable:
            with self._lock:
                self._used |= used
            raise

    def _look_up(self, key: str, digest: str) -> KeyVerdict:
        verdict: KeyVerdict
        with transaction(self._pool, timeout_ms=REQUEST_TIMEOUT_MS) as connection:
            if is_person_token(key):
                verdict = _person_verdict(person_tokens.use(connection, digest))
            else:
                verdict = _verdict(key, api_keys.find(connection, digest), self._default_limits)
        if isinstance(verdict, PersonGranted):
            return verdict
        now = self._clock()
        with self._lock:
            if isinstance(verdict, KeyGranted):
                self._granted.put(digest, _Entry(verdict, now, now + self._cache_s))
                self._refused.drop(digest)
            else:
                # A flood of wrong keys must not be answered from PostgreSQL each time.
                self._refused.put(digest, _Entry(verdict, now, now + min(NEGATIVE_S, self._cache_s)))
                self._granted.drop(digest)
            return self._used_now(verdict)

    def _stale_verdict(self, digest: str, error: DependencyUnavailable) -> KeyVerdict:
        with self._lock:
            known = self._granted.get(digest)
            if known is None or not self._still_usable(known):
                raise error
            known.fresh_until = self._clock() + OUTAGE_PAUSE_S
            log.warning("old verdict used", dependency=error.dependency)
            return self._used_now(known.verdict)

    def _still_usable(self, entry: _Entry) -> bool:
        return self._clock() - entry.asked_at < MAX_STALE_S

    def _used_now(self, verdict: KeyVerdict) -> KeyVerdict:
        if isinstance(verdict, KeyGranted):
            self._used.add(verdict.key_id)
        return verdict


def _person_verdict(owner: person_tokens.TokenOwner | None) -> KeyVerdict:
    if owner is None:
        return KeyRefused("unknown")
    tenancy, role = Tenancy(owner.org_id, owner.project_id), Role(owner.role)
    return PersonGranted(user_id=owner.user_id, token_id=owner.token_id, tenancy=tenancy, role=role)


def _verdict(key: str, owner: api_keys.KeyOwner | None, default: KeyLimits) -> KeyVerdict:
    scope = scope_of(key)
    if owner is None or scope is None:
        return KeyRefused("unknown")
    if owner.revoked:
        return KeyRefused("revoked")
    default = PUBLIC_LIMITS if scope is Scope.PUBLIC else default
    further = {RIGHT_TO_SEND[kind] for kind in owner.allowed or () if kind in RIGHT_TO_SEND}
    return KeyGranted(
        key_id=owner.key_id,
        tenancy=Tenancy(owner.org_id, owner.project_id),
        scope=scope,
        rights=RIGHTS[scope] | (further & OPTIONAL_RIGHTS.get(scope, frozenset())),
        limits=default.overridden(owner.events_per_second, owner.events_per_day),
        origins=tuple(owner.origins or ()),
        doors=_settings(owner),
    )


def _settings(owner: api_keys.KeyOwner) -> DoorSettings:
    if owner.signup_names is None and not owner.kept_fields and not owner.vercel_secret:
        return DEFAULT_SETTINGS
    return DoorSettings.of(owner.signup_names, owner.kept_fields, owner.vercel_secret)
