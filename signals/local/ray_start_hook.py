"""Leaves out of `ray start` what none of its options leaves out (`RAY_START_HOOK`)."""

from typing import Protocol


class Parameters(Protocol):
    """The one field of Ray's `RayParams` that matters here."""

    ray_client_server_port: int | None


def leave_out_client_server(parameters: Parameters, head: bool) -> None:  # Ray's signature
    """Start no Ray Client server: nobody connects to it, and it costs 80 MB and a port."""
    parameters.ray_client_server_port = None
