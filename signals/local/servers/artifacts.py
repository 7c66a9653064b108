"""The servers' files: resolved from Maven Central, verified against the lock, kept in a cache.

A lock line is: path in the repository layout, sha256, bytes, folder it goes to; tab-separated. A file in
the cache has been verified once, before it was moved there; later starts check its size only.
"""

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from signals.local.errors import LocalStackError
from signals.local.files import make_public_folder, require_space
from signals.local.progress import Download, DownloadProgress
from signals.local.servers.system_trust import SystemTrust

if TYPE_CHECKING:  # jgo is not in the image, which downloads no servers
    from jgo.maven import MavenContext

PARALLEL_DOWNLOADS = 8
ATTEMPTS = 3
SPACE_FACTOR = 5
"""Of the bytes to download: PostgreSQL's archive unpacks to four times its size (measured)."""
TIMEOUT_S = 30
"""Of one connect or read, not of a whole file."""

logging.getLogger("jgo").setLevel(logging.ERROR)  # it warns of a wrong SHA-1; we verify SHA-256 ourselves


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One line of a lock."""

    path: str
    sha256: str
    size_bytes: int
    folder: str

    @property
    def filename(self) -> str:
        """The last part of its path in the repository."""
        return self.path.rpartition("/")[2]

    def is_in(self, home: Path) -> bool:
        """Whether it has been placed below `home`, whole."""
        try:
            return (home / self.folder / self.filename).stat().st_size == self.size_bytes
        except FileNotFoundError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Everything one server needs, and the name of the cache folder it goes to.

    The folder's name carries the lock's digest: files of two versions never meet on one class path.
    """

    name: str
    title: str
    artifacts: tuple[Artifact, ...]

    @property
    def folder_name(self) -> str:
        """Unique for this list of files."""
        digest = hashlib.sha256("".join(a.sha256 for a in self.artifacts).encode())
        return f"{self.name}-{digest.hexdigest()[:12]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactCache:
    """A folder of verified files, shared by every stack of this machine."""

    folder: Path
    mirror: str | None
    progress: DownloadProgress
    trust: SystemTrust = field(default_factory=SystemTrust)

    def home_of(self, bundle: Bundle) -> Path:
        """The folder that holds the bundle, fetched if it is not there yet.

        Raises:
            LocalStackError: no network, no such file, or a file that is not what the lock says.
        """
        home = self.folder / bundle.folder_name
        missing = [artifact for artifact in bundle.artifacts if not artifact.is_in(home)]
        if missing:
            total_bytes = sum(artifact.size_bytes for artifact in missing)
            make_public_folder(self.folder)
            require_space(self.folder, SPACE_FACTOR * total_bytes)
            shown = self.progress.download(bundle.title, total_bytes)
            with self.staging() as staging, shown as download, self.trust:
                self._fetch_all(missing, staging, home, download)
        return home

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder on the cache's file system whose content can be moved into place in one step."""
        make_public_folder(self.folder)
        folder = Path(tempfile.mkdtemp(dir=self.folder, prefix=".staging-"))
        folder.chmod(0o755)  # what is moved out of it must be readable by the servers' account
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _fetch_all(self, missing: Sequence[Artifact], staging: Path, home: Path, download: Download) -> None:
        from jgo.maven import MavenContext, PythonResolver

        context = MavenContext(
            repo_cache=staging,
            local_repos=[],
            remote_repos={"mirror": self.mirror.rstrip("/")} if self.mirror else None,
            timeout=TIMEOUT_S,
            resolver=PythonResolver(progress_callback=download.of_file),
        )
        for folder in {home / artifact.folder for artifact in missing}:
            make_public_folder(folder)
        with ThreadPoolExecutor(PARALLEL_DOWNLOADS, thread_name_prefix="fetch") as pool:
            tasks = [pool.submit(_fetch, context, artifact, home) for artifact in missing]
            try:
                for task in as_completed(tasks):
                    task.result()
            except BaseException:
                self.progress.give_up()
                pool.shutdown(cancel_futures=True)
                raise


def read_lock(name: str) -> tuple[Artifact, ...]:
    """The lines of `locks/<name>.lock`."""
    text = resources.files("signals.local.servers").joinpath("locks", f"{name}.lock").read_text()
    rows = (line.split("\t") for line in text.splitlines() if line)
    return tuple(
        Artifact(path=path, sha256=sha256, size_bytes=int(size), folder=folder)
        for path, sha256, size, folder in rows
    )


def _fetch(context: "MavenContext", artifact: Artifact, home: Path) -> None:
    fetched = _resolve(context, artifact)
    found = hashlib.sha256(fetched.read_bytes()).hexdigest()
    if found != artifact.sha256:
        raise LocalStackError(
            f"{artifact.filename} came with sha256 {found[:12]}… instead of {artifact.sha256[:12]}…: "
            "the mirror or a proxy changed it, nothing was kept"
        )
    fetched.chmod(0o644)
    fetched.replace(home / artifact.folder / artifact.filename)


def _resolve(context: "MavenContext", artifact: Artifact) -> Path:
    *group, name, version, _ = artifact.path.split("/")
    wanted = context.project(".".join(group), name).at_version(version).artifact()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            resolved: Path = wanted.resolve()
            return resolved
        except requests.exceptions.SSLError as error:
            raise LocalStackError(
                f"cannot download {artifact.filename}: the certificate of the server or of a proxy is not "
                "trusted; add its CA to the system's certificates or point SSL_CERT_FILE to it"
            ) from error
        except requests.RequestException as error:
            (context.repo_cache / artifact.path).unlink(
                missing_ok=True
            )  # half a file would count as resolved
            if attempt == ATTEMPTS:
                raise LocalStackError(
                    f"cannot download {artifact.filename} ({type(error).__name__}): check the network, "
                    "or point SIGNALS_MAVEN_MIRROR to a Maven repository that can be reached"
                ) from error
        except RuntimeError as error:  # jgo's way to say that no repository has it
            raise LocalStackError(
                f"{' or '.join(context.remote_repos.values())} does not have {artifact.filename}: "
                "check SIGNALS_MAVEN_MIRROR"
            ) from error
    raise AssertionError("the last attempt returns or raises")
