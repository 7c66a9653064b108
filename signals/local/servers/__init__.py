"""The servers of the local stack: download, configuration and start."""
