"""The three applications that `serve run` and `serve deploy` build from the configuration file."""

from ray.serve import Application

from actors.names import expected
from actors.supervisor import Consumers, Supervisor
from serve_apps.core_api import CoreApi
from serve_apps.ingest_api import IngestApi
from signals.settings import RuntimeSettings


def ingest(_: dict[str, str]) -> Application:
    """ingest-api below /v1/events."""
    return IngestApi.bind()


def core(_: dict[str, str]) -> Application:
    """core-api at /."""
    return CoreApi.bind(list(expected(RuntimeSettings.from_env())))


def consumers(_: dict[str, str]) -> Application:
    """The supervisor, which keeps the consumer actors; it has no route."""
    return Consumers.bind(Supervisor.bind())
