"""An OpenID Connect provider in a process of its own, from a locked environment."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx2

from benchmarks.peers.environments import python_with
from signals.local.processes.ports import free_port
from tests.support.node import fetching_alone
from tests.support.waiting import until
from tests.unit.docs.markdown import ROOT

PROGRAM: Final = Path(__file__).parent / "programs" / "provider.py"


@contextmanager
def open_provider(callback: str) -> Iterator[str]:
    """Start a provider that knows Ann, Eve and two clients, and sends browsers back to `callback`.

    Yields its address.
    """
    with fetching_alone():
        python = python_with(
            ROOT / "requirements" / "provider.lock", "provider", "python", "--require-hashes"
        )
    port = free_port()
    address = f"http://localhost:{port}"
    with subprocess.Popen(
        [str(python), str(PROGRAM), str(port), callback], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            until(lambda: process.poll() is not None or _answers(address), within_s=120)
            assert process.poll() is None
            yield address
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/.well-known/openid-configuration", timeout=30).status_code == 200
    except httpx2.HTTPError:
        return False
