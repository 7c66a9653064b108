"""ingest-api as its replica builds it, on plain uvicorn: what the product costs without Ray and HAProxy."""

import os
from contextlib import ExitStack

import uvicorn

from serve_apps.ingest.replica import build_ingest_api, open_ingest_resources
from signals.garbage import collect_less_often


def main() -> None:
    """Serve until a SIGTERM."""
    collect_less_often()
    with ExitStack() as stack:
        app = build_ingest_api(open_ingest_resources(stack))
        port = int(os.environ["BENCH_PORT"])
        uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
