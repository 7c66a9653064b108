"""The console: pages for people, rendered by the server, in the replica of core-api and below /console."""
