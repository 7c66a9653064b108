"""Brings schema, topics and index of the servers in the environment up to date; safe to run again."""

from signals.clients.kafka.connection import ensure_topics
from signals.clients.opensearch.connection import open_client
from signals.clients.opensearch.index import ensure_index
from signals.settings import KafkaSettings, OpenSearchSettings, PostgresSettings
from signals.store.schema import migrate


def main() -> None:
    """Prepare the three servers.

    Raises:
        DependencyUnavailable: when one does not answer.
        SettingsError: naming the variable at fault.
    """
    migrate(PostgresSettings.from_env())
    ensure_topics(KafkaSettings.from_env())
    with open_client(OpenSearchSettings.from_env()) as client:
        ensure_index(client)


if __name__ == "__main__":
    main()
