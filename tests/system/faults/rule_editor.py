"""Changes a rule through the API while something else happens."""

from collections.abc import Mapping
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
            self._key = provisioning.issue_key(pool, project_id, Scope.ADMIN).text
        self._url = f"{core_url}/v1/rules"
        self._floors = count(1_000)
        self._tag = self._ask("POST", self._url, RULE | {"floor": next(self._floors)}).headers["etag"]

    def change(self) -> None:
        """Give the rule another floor, and read it back."""
        floor, one = next(self._floors), f"{self._url}/{RULE['name']}"
        body = {name: value for name, value in RULE.items() if name != "name"} | {"floor": floor}
        self._tag = self._ask("PUT", one, body).headers["etag"]
        assert self._ask("GET", one).json()["rule"]["spec"]["floor"] == floor

    def _ask(self, method: str, url: str, body: Mapping[str, object] | None = None) -> httpx2.Response:
        headers = {"X-API-Key": self._key} | ({"If-Match": self._tag} if method == "PUT" else {})
        answer = httpx2.request(method, url, json=body, headers=headers, timeout=15, trust_env=False)
        assert answer.is_success, answer.text
        return answer
