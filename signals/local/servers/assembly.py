"""Which recipe, files and process make up each server of a stack."""

import signal
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from signals.local.environment import DEFAULT_PORTS
from signals.local.errors import LocalStackError
from signals.local.files import make_public_folder
from signals.local.folder import StackFolder, StackState
from signals.local.processes.account import ServerAccount, can_reach
from signals.local.processes.ports import free_port, is_free
from signals.local.processes.process import ChildProcess
from signals.local.processes.process_tree import port_taken
from signals.local.progress import DownloadProgress
from signals.local.servers import kafka, opensearch
from signals.local.servers.artifacts import ArtifactCache
from signals.local.servers.java import java_for
from signals.local.servers.kafka import Kafka
from signals.local.servers.opensearch import OpenSearch
from signals.local.servers.postgres import Postgres, data_major
from signals.local.servers.postgres_install import PostgresSearch, find_installation
from signals.local.servers.server import Recipe, Server, ServerPlace

SERVERS = ("postgres", "kafka", "opensearch")
STOP_SIGNALS = {"postgres": signal.SIGINT}
"""PostgreSQL's fast shutdown; SIGTERM would wait for every client to leave."""
CACHE_NAME = "customer-signals-copilot"
CACHE_OF_ROOT = Path("/var/cache") / CACHE_NAME
"""Root's own cache folder would be out of reach for the servers' account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Parts that the servers of one stack share."""

    folder: StackFolder
    state: StackState
    account: ServerAccount | None
    cache: ArtifactCache
    search: PostgresSearch
    tie_to_parent: bool


def site_in(
    folder: StackFolder,
    state: StackState,
    account: ServerAccount | None,
    environ: Mapping[str, str],
    progress: DownloadProgress,
    *,
    tie_to_parent: bool = False,
) -> Site:
    """Read `SIGNALS_CACHE_DIR`, `XDG_CACHE_HOME`, `SIGNALS_MAVEN_MIRROR`, `PG_BINDIR` and `PATH`.

    Raises:
        LocalStackError: the servers' account cannot reach the cache.
    """
    given = environ.get("SIGNALS_CACHE_DIR")
    if given:
        cache_folder = Path(given).expanduser().resolve()
    elif account is not None:
        cache_folder = CACHE_OF_ROOT
    else:
        cache_folder = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / CACHE_NAME
    make_public_folder(cache_folder)
    if account is not None and not can_reach(account, cache_folder):
        raise LocalStackError(
            f"the account '{account.name}' cannot read {cache_folder}: point SIGNALS_CACHE_DIR elsewhere"
        )
    cache = ArtifactCache(
        folder=cache_folder, mirror=environ.get("SIGNALS_MAVEN_MIRROR") or None, progress=progress
    )
    return Site(
        folder=folder,
        state=state,
        account=account,
        cache=cache,
        search=PostgresSearch(pg_bindir=environ.get("PG_BINDIR") or None, path=environ.get("PATH", "")),
        tie_to_parent=tie_to_parent,
    )


def processes(folder: StackFolder) -> dict[str, ChildProcess]:
    """The servers' processes, running or not, and all others that were started into this folder."""
    return {
        name: ChildProcess(
            name=name,
            pid_path=folder.pid_path(name),
            log_path=folder.log_path(name),
            stop_signal=STOP_SIGNALS.get(name, signal.SIGTERM),
        )
        for name in dict.fromkeys((*SERVERS, *folder.names_with_pid()))
    }


def choose_ports(
    state: StackState,
    own: Sequence[str],
    running: Collection[str],
    wanted: Mapping[str, int],
    *,
    keeps_known: bool,
) -> list[str]:
    """Fix the port of each server that is to start: the wish, last time's, the default, else a free one.

    Returns a note for each port that is not what one would expect. With `keeps_known` something runs that
    knows last time's ports, so none of them changes.

    Raises:
        LocalStackError: a wish cannot be had, or a port that is kept is taken.
    """
    notes = []
    for name in own:
        known, wish = state.ports.get(name), wanted.get(name)
        is_kept = known is not None and (name in running or keeps_known)
        if is_kept and wish not in (None, known):
            raise LocalStackError(f"{name} is in use on port {known}: `signals down` first")
        if name in running:
            continue
        port = wish or known or DEFAULT_PORTS[name]
        if not is_free(port):
            if is_kept or wish is not None:
                raise LocalStackError(port_taken(name, port, is_kept=is_kept))
            taken, port = port, free_port()
            notes.append(f"port {taken} is in use, so {name} listens on {port}")
        state.ports[name] = port
    controller = state.ports.get("kafka_controller")
    if "kafka" not in running and (controller is None or not is_free(controller)):
        state.ports["kafka_controller"] = free_port()
    return notes


def assemble(site: Site, name: str) -> Server:
    """The server with everything it needs on disk, fetched if need be.

    Raises:
        LocalStackError: something cannot be fetched or found.
    """
    recipes = {"postgres": _postgres, "kafka": _kafka, "opensearch": _opensearch}
    place = ServerPlace(data=Path(site.state.data) / name, account=site.account)
    return Server(
        recipe=recipes[name](site, place),
        process=processes(site.folder)[name],
        tie_to_parent=site.tie_to_parent,
    )


def _postgres(site: Site, place: ServerPlace) -> Recipe:
    installation = find_installation(site.search, site.cache, site.account, data_major(place))
    return Postgres(
        place=place,
        installation=installation,
        port=site.state.ports["postgres"],
        password=site.state.password,
    )


def _kafka(site: Site, place: ServerPlace) -> Recipe:
    return Kafka(
        place=place,
        home=site.cache.home_of(kafka.BUNDLE),
        java=java_for(site.account, site.cache),
        port=site.state.ports["kafka"],
        controller_port=site.state.ports["kafka_controller"],
        advertised_port=site.state.ports.get("kafka_advertised"),
    )


def _opensearch(site: Site, place: ServerPlace) -> Recipe:
    return OpenSearch(
        place=place,
        home=opensearch.home_in(site.cache),
        java=java_for(site.account, site.cache),
        port=site.state.ports["opensearch"],
    )
