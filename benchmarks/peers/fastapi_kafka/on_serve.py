"""The peer on Ray Serve with everything at its default but the number of requests a replica works on."""

import os
import signal
import tempfile
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve

from benchmarks.peers.fastapi_kafka.app import build_app


@serve.deployment(max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.1})
@serve.ingress()
class Peer:
    """The application in a replica; its producer must be made there."""

    def __serve_build_asgi_app__(self) -> FastAPI:  # Ray Serve's name for it
        return build_app(os.environ["KAFKA_BROKERS"], os.environ["BENCH_TOPIC"])


def main() -> None:
    """Serve until a SIGTERM."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:  # sockets need a short path
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=80_000_000,
            _temp_dir=folder,
            _node_ip_address="127.0.0.1",
        )
        serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["BENCH_PORT"])})
        deployment: Any = Peer
        serve.run(deployment.bind(), route_prefix="/")
        signal.sigwait({signal.SIGTERM})
        serve.shutdown()  # type: ignore[no-untyped-call]  # Ray has no annotation here
        ray.shutdown()


if __name__ == "__main__":
    main()
