"""core-api in a process of its own, on plain uvicorn, without Serve and HAProxy."""

import os
from contextlib import ExitStack

import uvicorn

from serve_apps.core.replica import build_core_api
from serve_apps.core.resources import open_core_resources
from signals.garbage import collect_less_often
from signals.logs import configure_logs


def main() -> None:
    """Serve on loopback at `BENCH_PORT` until a SIGTERM."""
    configure_logs()
    collect_less_often()
    with ExitStack() as stack:
        app = build_core_api(open_core_resources(stack))
        uvicorn.run(app, host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), log_level="warning")


if __name__ == "__main__":
    main()
