"""Sends through Apprise in a child process: it has no secret but the address, and ends at the deadline.

Apprise has neither checks of addresses nor a deadline for a whole send, so it never runs in this process.
"""

import signal
import ssl
import subprocess
import sys
import threading
from typing import Any, Final

import orjson

from signals.clients.outbound.guard import Deadline
from signals.clients.outbound.http import HttpAnswer, by_status
from signals.domain.notifications.addresses import AllowList
from signals.domain.notifications.apprise_urls import UNFORMATTED, scheme_of
from signals.domain.notifications.delivery import DeliveryResult
from signals.domain.notifications.messages import NoticeMessage
from signals.domain.notifications.rendering import plain_parts
from signals.domain.notifications.targets import AppriseTarget

AT_ONCE: Final = 4  # children of this process, one an address: each has some 60 MB while it sends
START_S: Final = 10.0  # beside the send: importing Apprise took 1.2 to 3 s on a busy machine
CHILD: Final = "signals.clients.outbound.apprise_child"


class OutboundApprise:
    """Starts a child for each message; may be used by several threads."""

    def __init__(self, allowed: AllowList, *, timeout_s: float) -> None:
        self._allowed = allowed
        self._timeout_s = timeout_s
        self._busy: set[str] = set()
        self._ended = threading.Condition()

    def send(self, target: AppriseTarget, message: NoticeMessage) -> DeliveryResult:
        """Make one attempt; every failure is a result, and none quotes the address."""
        deadline, url = Deadline.within(self._timeout_s + START_S), target.url.get_secret_value()
        if not self._begin(url):
            return DeliveryResult(state="retry", error="too many messages wait for Apprise")
        try:
            return self._run(target, message, deadline.left())
        except TimeoutError:
            return DeliveryResult(state="retry", error="too many messages wait for Apprise")
        finally:
            with self._ended:
                self._busy.discard(url)
                self._ended.notify_all()

    def _begin(self, url: str) -> bool:
        """Wait for a free place; an address that hangs holds one, and leaves the others to the rest."""
        with self._ended:
            is_free = self._ended.wait_for(
                lambda: url not in self._busy and len(self._busy) < AT_ONCE, timeout=self._timeout_s
            )
            if is_free:
                self._busy.add(url)
            return is_free

    def _run(self, target: AppriseTarget, message: NoticeMessage, left_s: float) -> DeliveryResult:
        url = target.url.get_secret_value()
        title, body = plain_parts(message, is_formatted=scheme_of(url) not in UNFORMATTED)
        task = {
            "url": url,
            "title": title,
            "body": body,
            "is_over": message.status == "resolved",
            "allowed": self._allowed.text,
            "timeout_s": self._timeout_s,
        }
        try:
            ended = subprocess.run(
                [sys.executable, "-I", "-m", CHILD],
                input=orjson.dumps(task),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                timeout=left_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return DeliveryResult(state="retry", error="Apprise did not start in time")
        if ended.returncode == -signal.SIGALRM:
            words = f"no whole answer within {self._timeout_s:g} s"
            return DeliveryResult(state="retry", error=words, is_uncertain=True)
        try:
            outcome: dict[str, Any] = orjson.loads(ended.stdout)
        except ValueError:
            return DeliveryResult(state="retry", error="Apprise ended without a result", is_uncertain=True)
        if outcome.get("status") is not None:
            return by_status(HttpAnswer(status=outcome["status"], headers={}, body=b""))
        state = outcome["state"]
        return DeliveryResult(state=state, error=outcome.get("error"), is_uncertain=state == "retry")


def _environment() -> dict[str, str]:
    """Return the child's whole environment: the certificates that this process trusts, and nothing else."""
    trusted = ssl.get_default_verify_paths().cafile
    return {"REQUESTS_CA_BUNDLE": trusted} if trusted else {}
