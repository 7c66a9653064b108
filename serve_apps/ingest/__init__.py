"""ingest-api: events over HTTP into Kafka, acknowledged before they are answered."""
