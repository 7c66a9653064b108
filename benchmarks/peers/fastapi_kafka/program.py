"""The peer on plain uvicorn."""

import os

import uvicorn

from benchmarks.peers.fastapi_kafka.app import build_app

if __name__ == "__main__":
    app = build_app(os.environ["KAFKA_BROKERS"], os.environ["BENCH_TOPIC"])
    uvicorn.run(app, port=int(os.environ["BENCH_PORT"]), access_log=False, log_level="warning")
