"""The local stack's servers, and a Redis, where pods reach them: the machine's end of the way to the node."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from signals.local.processes.ports import free_port
from signals.local.processes.process import ChildProcess, Command
from signals.local.stack import ephemeral
from signals.ray_node.variables import HOST
from tests.k8s.control_plane.control_plane import rig_folder
from tests.system.faults.proxy import open_proxy

UPLINK: Final = "10.89.0.1"
"""The machine as pods see it (rig/env.sh)."""
REDIS_ADDRESS: Final = "REDIS_ADDRESS"
"""The variable of this test that says where Redis is; the product has none."""


@contextmanager
def servers_for_pods(folder: Path) -> Iterator[Mapping[str, str]]:
    """PostgreSQL, Kafka, OpenSearch and Redis as the variables of pods.

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
        environment[REDIS_ADDRESS] = stack.enter_context(redis(folder))
        yield environment


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Run Debian's Redis, which the rig has unpacked, in memory alone; yield its address."""
    debian, port = rig_folder() / "deb" / "usr", free_port()
    server = ChildProcess(name="redis", pid_path=folder / "redis.json", log_path=folder / "redis.log")
    argv = [str(debian / "bin" / "redis-server"), "--bind", UPLINK, "--port", str(port)]
    command = Command(
        argv=(*argv, "--protected-mode", "no", "--save", "", "--appendonly", "no"),
        env=os.environ | {"LD_LIBRARY_PATH": str(debian / "lib" / "x86_64-linux-gnu")},
        cwd=folder,
    )
    server.start(command, tie_to_parent=True)
    try:
        server.wait_until_ready(lambda: server.is_listening_on(port), 30)
        yield f"redis://{UPLINK}:{port}"
    finally:
        server.stop()
