"""Real PostgreSQL, Kafka and OpenSearch for a laptop and for tests, without Docker or a package manager.

This package starts, watches and stops servers. It never speaks for the product: no table, topic or index
is made here.
"""
