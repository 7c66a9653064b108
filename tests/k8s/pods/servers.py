"""The local stack's servers where pods reach them: behind the machine's end of the way to the node."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from signals.local.stack import ephemeral
from signals.ray_node.variables import HOST
from tests.system.faults.proxy import open_proxy

UPLINK: Final = "10.89.0.1"
"""The machine as pods see it (rig/env.sh)."""


@contextmanager
def servers_for_pods(folder: Path) -> Iterator[Mapping[str, str]]:
    """PostgreSQL, Kafka and OpenSearch as the variables of pods.

    Kafka listens and advertises itself at the uplink; the others stay on loopback behind a TCP proxy,
    since PostgreSQL accepts only loopback clients.
    """
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("signals.local.servers.kafka.HOST", UPLINK)
        environment = dict(stack.enter_context(ephemeral(folder)).environment)
        for variable in ("DATABASE_URL", "OPENSEARCH_URL"):
            port = urlsplit(environment[variable]).port
            assert port is not None
            stack.enter_context(open_proxy(port, port, UPLINK))
            environment[variable] = environment[variable].replace(HOST, UPLINK)
        yield environment
