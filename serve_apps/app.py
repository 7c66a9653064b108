"""The applications that `serve run` and `serve deploy` build from the configuration file.

Serve builds each in a process of its own; imports stand inside, so that each loads only its part.
"""

from typing import cast

from ray.serve import Application, Deployment


def ingest(_: dict[str, str]) -> Application:
    """ingest-api below /v1/events."""
    from serve_apps.ingest.replica import IngestApi

    return cast(Deployment, IngestApi).bind()


def core(args: dict[str, str]) -> Application:
    """core-api at /, with the console below /console unless `args` or the environment place it elsewhere."""
    from serve_apps.core.replica import CoreApi

    return cast(Deployment, CoreApi).bind(args.get("console"))


def console(_: dict[str, str]) -> Application:
    """The console below /console, where core-api does not serve it."""
    from serve_apps.core.console_replica import ConsoleReplica

    return cast(Deployment, ConsoleReplica).bind()


def consumers(_: dict[str, str]) -> Application:
    """The supervisor, which keeps the consumer actors; it has no route."""
    from actors.supervisor import Supervisor

    return cast(Deployment, Supervisor).bind()
