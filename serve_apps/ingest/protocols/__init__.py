"""One module a protocol: reads its requests into events, and writes its answers. None publishes by itself."""
