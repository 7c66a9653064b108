"""From running servers to a running product: schema, topics, index, keys, Ray, applications."""

import http.client
import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from signals.clients.kafka.connection import ensure_topics
from signals.clients.opensearch.connection import open_client
from signals.clients.opensearch.index import ensure_index
from signals.clients.postgres import open_pool, transaction
from signals.domain.access.api_keys import key_hash
from signals.domain.access.scopes import Scope
from signals.local import rollout, stack
from signals.local.environment import read_env_file, write_env_file
from signals.local.errors import (
    DiedError,
    LocalStackError,
    NotReadyError,
    PortTakenError,
    os_errors_reported,
)
from signals.local.folder import StackFolder
from signals.local.import_check import require_imports
from signals.local.processes import server_watch
from signals.local.ray_head import NAME, RayHead, ray_folder, ray_process
from signals.ray_node.variables import HOST
from signals.services.access import provisioning
from signals.settings import ConsoleSettings, KafkaSettings, OpenSearchSettings, PostgresSettings
from signals.store.access import api_keys
from signals.store.operations.schema import migrate

DEMO_ORG: Final = "demo"
DEMO_PROJECT: Final = "shop"
KEYS: Final = {"PROJECT_API_KEY": Scope.INGEST, "READ_API_KEY": Scope.READ, "ADMIN_API_KEY": Scope.ADMIN}
QUIET_S: Final = 120.0  # without another part that gets ready
LONGEST_S: Final = 600.0  # for all of them (guess)
LOOK_S: Final = 0.25
SIGN_IN_PAGE: Final = "/console/sign-in"
"""A page that needs no session; it answers once the console runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningProduct:
    """Everything up, and where."""

    environment: Mapping[str, str]
    started: tuple[str, ...]
    notes: tuple[str, ...]
    has_replaced: bool
    """Whether other code took the place of the running one."""


def up(
    root: Path,
    *,
    environ: Mapping[str, str],
    console: Console,
    ports: Mapping[str, int] | None = None,
    keeps_ports: bool = False,
) -> RunningProduct:
    """Start what is not running, and return when every part says that it is ready.

    While Ray runs, no server moves to another port than last time's; with `keeps_ports` neither a server
    nor the APIs ever do.

    Raises:
        LocalStackError: in one sentence, why not; what has started stays up, and a second call goes on.
        DependencyUnavailable, MigrationFailed: when a server breaks off, or refuses the schema.
    """
    folder = StackFolder(root=root.resolve())
    with os_errors_reported(folder.root), folder.locked():
        wanted = dict(ports or {})
        of_servers = {name: port for name, port in wanted.items() if name in stack.SERVERS}
        servers = stack.start(
            folder, environ=environ, console=console, ports=of_servers, keeps_ports=keeps_ports
        )
        os.environ.update(servers.environment)  # what we and Ray's processes read as settings
        head = _head_in(folder)
        was_running = head.process.is_running()
        is_outdated = False
        notes: list[str] = []
        if was_running:
            head.wait_until_ready()  # an earlier `up` may have been cut off
            is_outdated = rollout.is_outdated(head)
            if is_outdated:
                require_imports(folder.root)
        keys = prepare(read_env_file(folder.env_path), with_index=servers.failure is None)
        variables = {**servers.environment, **keys}
        try:
            if was_running:
                environment = _save_environment(head, variables)
                continue_node(head, is_outdated=is_outdated, console=console)
            else:
                environment, notes = start_node(head, wanted, variables, console, keeps_http=keeps_ports)
        except NotReadyError as error:
            if servers.failure is None:
                raise
            raise NotReadyError(f"{error}; {servers.failure}") from error
        servers.require_all()
    return RunningProduct(
        environment=environment,
        started=servers.started if was_running else (*servers.started, "ray"),
        notes=(*servers.notes, *notes),
        has_replaced=is_outdated,
    )


def down(root: Path) -> tuple[str, ...]:
    """Stop Ray and the servers that were started; return the names of what had been running."""
    folder = StackFolder(root=root.resolve())
    if not folder.is_stack():
        return ()
    with os_errors_reported(folder.root), folder.locked():
        return _stop(folder)


def reset(root: Path) -> None:
    """Stop everything and delete the data.

    Raises:
        LocalStackError: no stack has ever been there, so that a mistyped folder loses nothing.
    """
    folder = StackFolder(root=root.resolve())
    if not folder.is_stack():
        raise LocalStackError(f"{folder.root} holds no local stack: nothing was deleted")
    with os_errors_reported(folder.root), folder.locked():
        _stop(folder)
        shutil.rmtree(ray_folder(folder), ignore_errors=True)
        folder.wipe()


def _save_environment(head: RayHead, variables: Mapping[str, str]) -> dict[str, str]:
    """Save the node's ports, and write the stack's variables to its file; return them."""
    head.folder.save(head.state)
    urls = {"INGEST_API_URL": head.http_url, "CORE_API_URL": head.http_url}
    environment = {**variables, **head.client_variables, **urls}
    write_env_file(head.folder.env_path, environment)
    return environment


def _head_in(folder: StackFolder) -> RayHead:
    state = folder.load()
    assert state is not None, "the servers' start has saved it"
    return RayHead(folder=folder, state=state)


def start_node(
    head: RayHead,
    wanted: Mapping[str, int],
    variables: Mapping[str, str],
    console: Console,
    *,
    keeps_http: bool = False,
) -> tuple[dict[str, str], list[str]]:
    """Start a node at free ports; return the stack's variables, and notes about ports that were taken.

    A start that fails for the moment's sake is repeated once: another stack that starts now took a port,
    and is seen the second time; or Ray died on a starved machine. With `keeps_http` the APIs do not move.

    Raises:
        DiedError, NotReadyError, PortTakenError, LocalStackError: in one sentence, why not.
    """
    is_meant = NAME in head.folder.names_with_pid()
    head.end_leftovers()
    notes = head.choose_ports(wanted, keeps_http=keeps_http)
    console.print("starting Ray and the applications …", highlight=False)
    try:
        return _start(head, variables, is_meant=is_meant), notes
    except (PortTakenError, DiedError) as error:
        cause = re.split("[:;]", str(error), maxsplit=1)[0]
        console.print(f"{cause}: starting Ray again …", highlight=False)
        if head.process.is_running():
            try:
                if not keeps_http:
                    notes.append(head.leave_http_port(wanted))
            finally:
                head.process.stop(for_good=False)
        head.end_leftovers()
        notes += head.choose_ports(wanted, keeps_http=keeps_http)
        return _start(head, variables, is_meant=is_meant), notes


def _start(head: RayHead, variables: Mapping[str, str], *, is_meant: bool) -> dict[str, str]:
    """Start the node and everything on it; return the stack's variables.

    What is late stays up; an interruption leaves nothing running. A node that had died before is still
    meant to run then (`is_meant`).

    Raises:
        PortTakenError: another stack that starts now took a port of it; the node may run.
        DiedError: the node died while it or the applications started.
    """
    environment = _save_environment(head, variables)
    try:
        head.start(environment)
        rollout.remember_start(head)
        head.deploy()
        _wait_for_applications(head)
    except KeyboardInterrupt:
        head.process.stop(for_good=not is_meant)
        raise
    except NotReadyError:
        _check_http_port(head)  # the other program may answer nothing
        raise
    _check_http_port(head)
    return environment


def _check_http_port(head: RayHead) -> None:
    port = head.state.ports["http"]
    if head.process.shares(port):
        raise PortTakenError(
            f"another program listens on port {port}, too: `signals down`, then `signals up` chooses another"
        )


def continue_node(head: RayHead, *, is_outdated: bool, console: Console) -> None:
    """Deploy what a running node lacks: applications, or the present code."""
    if not head.applications():
        rollout.remember_start(head)
        head.deploy()
    elif is_outdated:
        console.print("replacing the running code …", highlight=False)
        rollout.replace_code(head)
    _wait_for_applications(head)
    _check_http_port(head)


def _wait_for_applications(head: RayHead) -> None:
    """Return once all are ready."""
    head.process.mark_started()  # what Serve has accepted it starts by itself
    wait_until_ready(head.state.ports["http"], head)


def _stop(folder: StackFolder) -> tuple[str, ...]:
    """Stop Ray, then the servers that its actors talk to."""
    stopped = ray_process(folder).stop()
    return (*((NAME,) if stopped else ()), *stack.stop(folder))


def prepare_servers(*, with_index: bool = True) -> None:
    """Bring schema, topics and index of the servers in the environment up to date; safe to run again.

    The indexer brings the index up to date too, each time that it begins.

    Raises:
        DependencyUnavailable, MigrationFailed: when one does not answer, or refuses the schema.
        SettingsError: naming the variable at fault.
    """
    migrate(PostgresSettings.from_env())
    ensure_topics(KafkaSettings.from_env())
    if with_index:
        with open_client(OpenSearchSettings.from_env()) as client:
            ensure_index(client)


def prepare(known: Mapping[str, str], *, with_index: bool = True) -> dict[str, str]:
    """Prepare the servers; return a key of each scope of the demo project.

    Keys in `known` are kept while they are valid. Reads the servers' addresses from the environment.
    """
    prepare_servers(with_index=with_index)
    keys = {}
    with open_pool(PostgresSettings.from_env(), size=1) as pool:
        provisioning.create_org(pool, DEMO_ORG, "Demo")
        provisioning.create_project(pool, DEMO_PROJECT, org_id=DEMO_ORG, name="Demo shop")
        for variable, scope in KEYS.items():
            with transaction(pool) as connection:
                owner = api_keys.find(connection, key_hash(known.get(variable, "")))
            valid = owner is not None and not owner.revoked
            if valid:
                keys[variable] = known[variable]
            else:  # the texts of the others are not stored
                issued = provisioning.issue_key(pool, DEMO_PROJECT, scope, ending_oldest=True)
                keys[variable] = issued.text
    return keys


def wait_until_ready(port: int, head: RayHead) -> None:
    """Return once `/readyz` says that every part is ready. Each part that gets ready prolongs the wait.

    Raises:
        DiedError: Ray has died.
        NotReadyError: naming the parts that are late or have died; everything else goes on running.
    """
    began = progressed = time.monotonic()
    missing = _missing(port, head)
    while missing:
        if not head.process.is_running():
            raise DiedError(f"Ray has died: see {head.process.log_path}")
        if died := server_watch.died(head.folder.root):
            raise NotReadyError(f"{', '.join(died)} died meanwhile; the rest runs; see `signals stack logs`")
        now = time.monotonic()
        if missing != (missing := _missing(port, head)):
            progressed = now
        if missing and now > min(progressed + QUIET_S, began + LONGEST_S):
            raise NotReadyError(
                f"not ready after {now - began:.0f} s: {', '.join(missing)}; the rest runs; "
                "see `signals status`, and wait on with `signals up`"
            )
        time.sleep(LOOK_S)
    rollout.remember_replaced(head)


def _missing(port: int, head: RayHead) -> list[str]:
    return unready(port) or rollout.former_consumers(head)


def unready(port: int) -> list[str]:
    """Return the parts that are not ready, empty when all are."""
    own = (SIGN_IN_PAGE,) if ConsoleSettings.from_env().signals_console == "own" else ()
    for path in ("/v1/events/healthz", *own, "/readyz"):
        try:
            status, body = _get(port, path)
        except (OSError, http.client.HTTPException):
            return ["the HTTP port"]
        if "dependencies" in body:
            parts = [*body["dependencies"], *body["actors"]]
            return [f"{p['name']} ({p['state']})" for p in parts if p["state"] not in ("ok", "running")]
        if status != http.client.OK:
            return [path]
    return ["/readyz"]


def _get(port: int, path: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    try:
        body = json.loads(text)
    except ValueError:
        return answer.status, {}
    return answer.status, body if isinstance(body, dict) else {}
