"""A whole set of consumers in one plain process without Ray.

What runs beside the product's own set in an upgrade, and what tests of the pipeline alone run:
`python -m tests.system.faults.consumer_set NAME KIND …`
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from pkgutil import resolve_name
from tempfile import TemporaryFile
from typing import Final

from actors.consumers import Consumer
from signals.consumer_kinds import KINDS
from tests.system.faults.server_contents import Servers

CLASSES: Final[Mapping[str, Callable[[str], Consumer]]] = {
    kind.name: resolve_name(kind.actor) for kind in KINDS
}
ROOT: Final = Path(__file__).parents[3]
POLL_S: Final = 0.1
RUNNING: Final = "running\n"
LEAVE_WITHIN_S: Final = 15.0
ENDED_WITHIN_S: Final = 60.0


@contextmanager
def consumer_set(
    environment: Mapping[str, str], *, name: str = "other", kinds: Sequence[str] = tuple(CLASSES)
) -> Iterator["subprocess.Popen[str]"]:
    """Run a set until the end of the block; returns once each consumer has come round. It dies with us."""
    command = [sys.executable, "-m", "tests.system.faults.consumer_set", name, *kinds]
    with (
        TemporaryFile("w+") as log,
        subprocess.Popen(
            command,
            env={**os.environ, **environment},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=log,  # in plenty: one line a decision
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            assert process.stderr is not None
            said = ""
            while not said.endswith(RUNNING):
                line = process.stderr.readline()
                if not line:
                    log.seek(0)
                    raise AssertionError(f"the consumer set has died: {said} {log.read()[-2000:]}")
                said += line
            yield process
            assert process.stdin is not None
            process.stdin.close()
            process.wait(len(kinds) * LEAVE_WITHIN_S + ENDED_WITHIN_S)
        finally:
            process.kill()


def environment_of(servers: Servers) -> dict[str, str]:
    """Return the variables that lead a consumer set to these servers."""
    return {
        "DATABASE_URL": servers.postgres.database_url.get_secret_value(),
        "PG_SSLMODE": "disable",
        "KAFKA_BROKERS": servers.kafka.kafka_brokers,
        "KAFKA_GROUP_PROTOCOL": servers.kafka.kafka_group_protocol,
        "OPENSEARCH_URL": servers.opensearch.opensearch_url,
        "SIGNALS_TICK_S": "2",
    }


def main() -> None:
    """Start the consumers, say `running`, and work until standard input ends."""
    name, *kinds = sys.argv[1:]
    consumers = [CLASSES[kind](f"{name}-{kind}") for kind in kinds]
    while any(consumer.health().idle_s is None for consumer in consumers):
        time.sleep(POLL_S)
    sys.stderr.write(RUNNING)
    sys.stdin.read()
    for consumer in consumers:
        consumer.stop()
    for thread in threading.enumerate():
        if thread.name.endswith("-loop"):
            thread.join(LEAVE_WITHIN_S)  # then the group is left, and may be deleted
    os._exit(0)


if __name__ == "__main__":
    main()
