"""Downloads: what is not what the lock says never reaches the cache."""

import gc
import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from rich.console import Console

from signals.local.errors import LocalStackError
from signals.local.processes.ports import free_port
from signals.local.progress import DownloadProgress
from signals.local.servers.artifacts import Artifact, ArtifactCache, Bundle, read_lock

CONTENT = b"the jar's bytes" * 1000
ARTIFACT = Artifact(
    path="org/example/thing/1.0/thing-1.0.jar",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size_bytes=len(CONTENT),
    folder="lib",
)
BUNDLE = Bundle(name="thing", title="Thing", artifacts=(ARTIFACT,))


@dataclass
class Mirror:
    """A Maven repository that serves the files that a test puts in it."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    announced_extra_bytes: int = 0
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.requests.append(self.path)
            body = found.files.get(self.path.lstrip("/"))
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"") + found.announced_extra_bytes))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Mirror(url=f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()
    with warnings.catch_warnings():  # jgo leaves the response of a cut download to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _cache(folder: Path, mirror_url: str) -> ArtifactCache:
    console = Console(file=(folder / "shown").open("w"), force_terminal=False)
    return ArtifactCache(
        folder=folder / "cache", mirror=mirror_url, progress=DownloadProgress(console=console)
    )


@pytest.fixture
def cache(tmp_path: Path, mirror: Mirror) -> Iterator[ArtifactCache]:
    cache = _cache(tmp_path, mirror.url)
    yield cache
    cache.progress.console.file.close()


def _kept(cache: ArtifactCache) -> list[Path]:
    return [path for path in cache.folder.rglob("*") if path.is_file()]


def test_second_start_makes_no_request(cache: ArtifactCache, mirror: Mirror) -> None:
    mirror.files[ARTIFACT.path] = CONTENT
    placed = cache.home_of(BUNDLE) / "lib" / "thing-1.0.jar"
    assert placed.read_bytes() == CONTENT
    mirror.requests.clear()
    cache.home_of(BUNDLE)
    assert mirror.requests == []


def test_tampered_file_is_refused_and_not_kept(cache: ArtifactCache, mirror: Mirror) -> None:
    mirror.files[ARTIFACT.path] = CONTENT.replace(b"jar", b"JAR")
    with pytest.raises(LocalStackError, match=r"^thing-1\.0\.jar came with sha256 .* nothing was kept$"):
        cache.home_of(BUNDLE)
    assert _kept(cache) == []


def test_cut_connection_is_reported_and_leaves_no_file(cache: ArtifactCache, mirror: Mirror) -> None:
    mirror.files[ARTIFACT.path] = CONTENT
    mirror.announced_extra_bytes = 100
    with pytest.raises(LocalStackError, match=r"^cannot download thing-1\.0\.jar"):
        cache.home_of(BUNDLE)
    assert _kept(cache) == []


def test_truncated_file_in_the_cache_is_fetched_again(cache: ArtifactCache, mirror: Mirror) -> None:
    mirror.files[ARTIFACT.path] = CONTENT
    placed = cache.home_of(BUNDLE) / "lib" / "thing-1.0.jar"
    placed.write_bytes(CONTENT[:100])
    cache.home_of(BUNDLE)
    assert placed.read_bytes() == CONTENT


def test_missing_file_names_the_mirror(cache: ArtifactCache, mirror: Mirror) -> None:
    with pytest.raises(LocalStackError, match=rf"^{mirror.url} does not have thing-1\.0\.jar"):
        cache.home_of(BUNDLE)


def test_missing_network_names_the_variable_to_set(tmp_path: Path) -> None:
    cache = _cache(tmp_path, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(LocalStackError, match="check the network, or point SIGNALS_MAVEN_MIRROR"):
        cache.home_of(BUNDLE)
    cache.progress.console.file.close()


def test_output_without_a_terminal_gets_one_line(cache: ArtifactCache, mirror: Mirror) -> None:
    mirror.files[ARTIFACT.path] = CONTENT
    with cache.progress:
        cache.home_of(BUNDLE)
    cache.progress.console.file.flush()
    shown = Path(cache.progress.console.file.name).read_text()
    assert shown == "Thing: downloading 0.0 MB once\n"


@pytest.mark.parametrize(
    ("server", "files", "megabytes"), [("kafka", 45, 44.6), ("opensearch", 67, 51.7), ("postgres", 4, 95.6)]
)
def test_lock_lists_every_file_once(server: str, files: int, megabytes: float) -> None:
    lock = read_lock(server)
    assert len({(artifact.folder, artifact.path) for artifact in lock}) == len(lock) == files
    assert sum(artifact.size_bytes for artifact in lock) / 1e6 == pytest.approx(megabytes, abs=0.1)
    assert all(len(artifact.sha256) == 64 for artifact in lock)
