"""Ray's dashboard as an HTTP interface: is it there, what does Serve run, run this."""

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from signals.local.errors import DiedError, LocalStackError
from signals.ray_node.variables import HOST

ANSWER_WITHIN_S: Final = 120.0  # the first request for applications starts Serve itself
ASKED_AGAIN_S: Final = 1.0
APPLICATIONS: Final = "/api/serve/applications/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A client of one dashboard on loopback, with the token that it asks for.

    Source: https://docs.ray.io/en/latest/serve/api/index.html#serve-rest-api
    """

    port: int
    token: str = field(repr=False)
    is_node_running: Callable[[], bool] = field(repr=False)

    def answers(self) -> bool:
        """Whether it is up and knows our token."""
        try:
            return self._ask("GET", "/api/version")[0] == http.client.OK
        except LocalStackError:
            return False

    def ray_version(self) -> str:
        """Return the version of Ray that runs.

        Raises:
            LocalStackError: it does not answer.
        """
        status, answer = self._ask("GET", "/api/version")
        if status != http.client.OK:
            raise LocalStackError(f"Ray's dashboard answered {status}: {_last_line(answer)}")
        return str(json.loads(answer)["ray_version"])

    def deploy(self, config: dict[str, Any]) -> None:
        """Let Serve start what the configuration says, in the background.

        On a busy machine the dashboard fails to connect to its own node at first: it says 500, or dies of it
        and takes the node along.

        Raises:
            DiedError: the node has died.
            LocalStackError: it refuses, or accepts nothing for two minutes.
        """
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while failure := self._failure_to_deploy(config):
            if not self.is_node_running():
                raise DiedError("Ray has died: see `signals stack logs ray`")
            if time.monotonic() > deadline:
                raise failure
            time.sleep(ASKED_AGAIN_S)

    def _failure_to_deploy(self, config: dict[str, Any]) -> LocalStackError | None:
        """Send the configuration once; return a failure that may be gone at the next try."""
        try:
            status, answer = self._ask("PUT", APPLICATIONS, json.dumps(config))
        except LocalStackError as error:
            return error
        if status == http.client.OK:
            return None
        refused = LocalStackError(f"Ray Serve refused the configuration: {_last_line(answer)}")
        if status < http.client.INTERNAL_SERVER_ERROR:
            raise refused
        return refused

    def applications(self) -> dict[str, Any]:
        """The state of Serve's applications, by name.

        Raises:
            LocalStackError: it does not answer, or not with applications.
        """
        status, answer = self._ask("GET", APPLICATIONS)
        if status != http.client.OK:
            raise LocalStackError(f"Ray's dashboard answered {status}: {_last_line(answer)}")
        applications = json.loads(answer)["applications"]
        assert isinstance(applications, dict)
        return applications

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=ANSWER_WITHIN_S)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise LocalStackError(
                f"Ray's dashboard does not answer ({error}): see `signals stack logs ray`"
            ) from error
        finally:
            connection.close()


def _last_line(answer: str) -> str:
    """Return what a traceback ends with."""
    return answer.strip().rpartition("\n")[2][:300]
