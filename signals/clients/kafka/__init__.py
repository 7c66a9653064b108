"""The door to Kafka: connection settings, topics, an acknowledged publisher, a partition consumer."""

from typing import Final

RAW_TOPIC: Final = "signals.raw.v1"
JOBS_TOPIC: Final = "signals.ai.jobs.v1"
DLQ_TOPIC: Final = "signals.dlq.v1"

ENGINE_GROUP: Final = "signals-incident-engine"
INDEXER_GROUP: Final = "signals-indexer"
