"""The file of bodies that load generators send. Standard library only: peers import it, too."""

from collections.abc import Iterator
from pathlib import Path


def write_bodies(path: Path, bodies: Iterator[bytes]) -> Path:
    """Write bodies as the load generator reads them."""
    path.write_bytes(b"".join(len(body).to_bytes(4, "big") + body for body in bodies))
    return path


def written_once(path: Path, bodies: Iterator[bytes]) -> Path:
    """Write bodies unless an earlier round has."""
    return path if path.exists() else write_bodies(path, bodies)


def read_bodies(path: Path) -> list[bytes]:
    """Read the file of bodies."""
    data, bodies, position = path.read_bytes(), [], 0
    while position < len(data):
        start = position + 4
        position = start + int.from_bytes(data[position:start], "big")
        bodies.append(data[start:position])
    return bodies
