"""Events on their way into Kafka, and their search."""
