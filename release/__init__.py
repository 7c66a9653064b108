"""Makes a release: the one version, the files that are published, and their checksums."""
