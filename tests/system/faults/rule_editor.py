"""Changes a rule through the API while something else happens."""

from itertools import count
from typing import Final

import httpx2

from signals.clients.postgres import open_pool
from signals.domain.access.scopes import Scope
from signals.services.access import provisioning
from signals.settings import PostgresSettings

RULE: Final = {
    "name": "trial",
    "kind": "rate",
    "on": {"event_type": "error", "severity": "critical"},
    "of": {"event_type": "error"},
    "limit": "50%",
}
"""Fires never: no event of a trial is critical."""


class RuleEditor:
    """A rule of one project; each change gives it another parameter and must be taken."""

    def __init__(self, postgres: PostgresSettings, core_url: str, project_id: str) -> None:
        with open_pool(postgres, size=1) as pool:
            key = provisioning.issue_key(pool, project_id, Scope.ADMIN).text
        headers = {"X-API-Key": key}
        self._client = httpx2.Client(base_url=core_url, trust_env=False, headers=headers, timeout=15)
        self._floors = count(1_000)
        created = self._client.post("/v1/rules", json=RULE | {"floor": next(self._floors)})
        assert created.is_success, created.text
        self._tag = created.headers["etag"]

    def change(self) -> None:
        """Give the rule another floor, and read it back."""
        floor = next(self._floors)
        body = {name: value for name, value in RULE.items() if name != "name"} | {"floor": floor}
        answer = self._client.put("/v1/rules/trial", json=body, headers={"If-Match": self._tag})
        assert answer.is_success, answer.text
        self._tag = answer.headers["etag"]
        assert self._client.get("/v1/rules/trial").json()["rule"]["floor"] == floor
