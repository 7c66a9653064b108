"""Events of a synthetic web shop. Pure: chance and instants are passed in."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final, Literal

from shared_types import Environment, EventType, Severity

ShopEvent = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopFailure:
    """One way in which the shop fails; with an environment it is one fingerprint."""

    error_code: str
    method: Literal["GET", "POST"]
    route: str
    status_code: int
    severity: Severity
    message: str


UPSTREAM_TIMEOUT: Final = ShopFailure(
    error_code="UPSTREAM_TIMEOUT",
    method="POST",
    route="/checkout",
    status_code=503,
    severity=Severity.CRITICAL,
    message="payments-api did not answer within 3000 ms",
)
PRICE_MISSING: Final = ShopFailure(
    error_code="PRICE_MISSING",
    method="POST",
    route="/cart",
    status_code=500,
    severity=Severity.ERROR,
    message="TypeError: unsupported operand: price of line item is None",
)
CARD_DECLINED: Final = ShopFailure(
    error_code="CARD_DECLINED",
    method="POST",
    route="/checkout",
    status_code=402,
    severity=Severity.WARN,
    message="The issuing bank declined the card",
)
SEARCH_TIMEOUT: Final = ShopFailure(
    error_code="SEARCH_TIMEOUT",
    method="GET",
    route="/search",
    status_code=504,
    severity=Severity.ERROR,
    message="Search backend exceeded 800 ms",
)
SESSION_EXPIRED: Final = ShopFailure(
    error_code="SESSION_EXPIRED",
    method="GET",
    route="/account",
    status_code=401,
    severity=Severity.WARN,
    message="Session token expired",
)

# (method, route, share of the requests, typical duration in ms): guesses at a shop's traffic.
_PAGES: Final = (
    ("GET", "/", 28, 40),
    ("GET", "/products", 20, 60),
    ("GET", "/products/{id}", 18, 55),
    ("GET", "/search", 12, 120),
    ("POST", "/cart", 8, 80),
    ("GET", "/cart", 6, 50),
    ("POST", "/checkout", 4, 350),
    ("GET", "/account", 2, 60),
    ("POST", "/login", 2, 90),
)
_PAGE_SHARES: Final = tuple(share for _, _, share, _ in _PAGES)
_STATUS_CODES: Final = (200, 304, 404)
_STATUS_SHARES: Final = (92, 6, 2)
_ENVIRONMENT_SHARES: Final = (86, 10, 4)
_REGIONS: Final = ("fra1", "nyc3", "sgp1")
_PLANS: Final = ("free", "starter", "business")
_TIERS: Final = ("free", "pro", "enterprise")
_TIER_SHARES: Final = (70, 25, 5)
_BROWSERS: Final = ("chrome", "safari", "firefox", "edge")
_BROWSER_SHARES: Final = (60, 22, 10, 8)
CANARY_SHARE: Final = 0.03  # of prod's traffic, while a release is tried out
_FEEDBACK: Final = (
    "Checkout was quick, thank you",
    "Where do I find my invoices?",
    "The search does not find my order number",
    "Love the new product pages",
    "Could not apply my voucher",
)


@dataclass(slots=True, kw_only=True)
class Shop:
    """Makes events. Contents come from `chance`, ids from `ids`, instants are seconds after `start`.

    Customers (tier, browser, who meets a canary) come from `customers`. `release` is what prod runs; a deploy
    changes it. `canary` is a release that a small share of prod runs beside it.
    """

    start: datetime
    chance: Random
    ids: Random
    customers: Random
    release: str
    canary: str | None = None

    def visit(self, at_s: float) -> ShopEvent:
        """Return an everyday event: a request, sometimes feedback or a finished job."""
        kind = self.chance.random()
        if kind < 0.02:
            text = self.chance.choice(_FEEDBACK)
            rating = self.chance.randint(3, 5)
            return self._event(at_s, EventType.FEEDBACK, Severity.INFO, text, payload={"rating": rating})
        if kind < 0.04:
            rows = self.chance.randint(100, 9000)
            return self._event(
                at_s, EventType.CUSTOM, Severity.DEBUG, "Catalogue import finished", payload={"rows": rows}
            )
        method, route, _, typical_ms = self.chance.choices(_PAGES, _PAGE_SHARES)[0]
        status_code = self.chance.choices(_STATUS_CODES, _STATUS_SHARES)[0]
        duration_ms = round(typical_ms * self.chance.lognormvariate(0, 0.5), 1)
        return self._event(
            at_s,
            EventType.HTTP_REQUEST,
            Severity.INFO,
            f"{method} {route} {status_code}",
            environment=self.chance.choices(list(Environment), _ENVIRONMENT_SHARES)[0],
            attributes={"route": route, "method": method, "status_code": status_code},
            payload={"duration_ms": duration_ms},
        )

    def error(
        self, at_s: float, failure: ShopFailure, environment: Environment, release: str | None = None
    ) -> ShopEvent:
        """Return one occurrence of `failure`; `release` is where it happens alone, None everywhere."""
        return self._event(
            at_s,
            EventType.ERROR,
            failure.severity,
            failure.message,
            environment=environment,
            attributes={
                "route": failure.route,
                "method": failure.method,
                "status_code": failure.status_code,
                "error_code": failure.error_code,
            },
            payload={"trace_id": f"{self.chance.getrandbits(64):016x}", "retry": self.chance.randint(0, 2)},
            release=release,
        )

    def signup(self, at_s: float, environment: Environment) -> ShopEvent:
        """Return one new customer."""
        plan = self.chance.choice(_PLANS)
        return self._event(
            at_s,
            EventType.SIGNUP,
            Severity.INFO,
            "New customer signed up",
            environment=environment,
            attributes={"route": "/signup", "method": "POST", "status_code": 201},
            payload={"plan": plan},
        )

    def deploy(self, at_s: float, release: str, *, canary: bool = False) -> ShopEvent:
        """Deploy `release` to prod; later prod events carry it, or a small share of them as a canary."""
        previous = self.release
        if canary:
            self.canary = release
        else:
            self.release, self.canary = release, None
        return self._event(
            at_s,
            EventType.DEPLOY,
            Severity.INFO,
            f"Deployed shop {release}",
            payload={"service": "shop", "previous_release": previous},
            release=release,
        )

    def _event(
        self,
        at_s: float,
        event_type: EventType,
        severity: Severity,
        message: str,
        *,
        environment: Environment = Environment.PROD,
        attributes: ShopEvent | None = None,
        payload: ShopEvent,
        release: str | None = None,
    ) -> ShopEvent:
        instant = self.start + timedelta(seconds=at_s)
        region = self.chance.choice(_REGIONS)
        customer = self._customer() if event_type in _OF_CUSTOMERS else {}
        meets_canary = self.customers.random() < CANARY_SHARE
        if release is None and environment is Environment.PROD:
            release = self.canary if self.canary and meets_canary else self.release
        return {
            "event_id": str(uuid.UUID(int=self.ids.getrandbits(128), version=4)),
            "occurred_at": rfc3339(instant),
            "environment": environment,
            "event_type": event_type,
            "severity": severity,
            "message": message,
            "attributes": {
                **(attributes or {}),
                "release": release or f"{self.release}-{environment}",
                "region": region,
                **customer,
            },
            "payload": payload,
        }

    def _customer(self) -> ShopEvent:
        return {
            "tier": self.customers.choices(_TIERS, _TIER_SHARES)[0],
            "browser": self.customers.choices(_BROWSERS, _BROWSER_SHARES)[0],
        }


_OF_CUSTOMERS: Final = frozenset({EventType.HTTP_REQUEST, EventType.ERROR, EventType.SIGNUP})


def rfc3339(instant: datetime) -> str:
    """Write an aware UTC instant as the contract does, in milliseconds."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
