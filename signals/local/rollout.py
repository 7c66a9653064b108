"""An upgrade in place: the code of a running node is replaced by other code, while both APIs answer.

The files have changed under the running product. Serve starts each new replica before the old one leaves:
core-api's first, since it takes events while no replica of ingest-api answers. The supervisor then replaces
the consumers one after the other. What belongs to the node itself stays as it was started: Ray, and the
settings of the environment.
"""

import hashlib
import json
import sysconfig
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from signals.clients.postgres import open_pool, transaction
from signals.consumer_kinds import KINDS
from signals.local.errors import PUT_BACK, LocalStackError, NotReadyError
from signals.local.files import replace_file
from signals.local.ray_head import RayHead
from signals.services.operations.readiness import STALE_S
from signals.settings import ConsumerSettings, PostgresSettings
from signals.store.operations import workers

PACKAGES: Final = ("actors", "serve_apps", "shared_types", "signals")
"""What the node's processes import of ours."""
ROOT: Final = Path(__file__).parents[2]
STAND_IN: Final = "core"
"""The application that answers for others (`haproxy.SPARES`): it has the new code before them."""
LONGEST_S: Final = 600.0  # for all replicas (guess); Serve itself gives up after three attempts of one
LOOK_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedCode:
    """The code that was last deployed to a node.

    `since` is when its replacement of other code began, as ISO 8601; None for the code of the node's start,
    and once all consumers run it.
    """

    mark: str
    since: str | None
    is_complete: bool


def code_mark(root: Path = ROOT) -> str:
    """Return a digest of our code and of the names of all installed packages with their versions."""
    digest = hashlib.sha256()
    for name in sorted(path.name for path in Path(sysconfig.get_path("purelib")).glob("*.dist-info")):
        digest.update(f"{name}\n".encode())
    for path in sorted(_files(root)):
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def remember(head: RayHead, code: DeployedCode) -> None:
    """Write down what the node runs; the note goes with the node."""
    replace_file(_note(head), json.dumps(asdict(code)))


def remember_start(head: RayHead) -> None:
    """Write down that a new node runs the present code."""
    remember(head, DeployedCode(mark=code_mark(), since=None, is_complete=True))


def deployed(head: RayHead) -> DeployedCode | None:
    """Return what the node runs; None when a release without this note has started it."""
    try:
        return DeployedCode(**json.loads(_note(head).read_text()))
    except FileNotFoundError:
        return None


def is_outdated(head: RayHead) -> bool:
    """Whether the running node has other code than the files.

    Raises:
        LocalStackError: it cannot be replaced in place, because Ray itself is another one.
    """
    known = deployed(head)
    if known is not None and known.is_complete and known.mark == code_mark():
        return False
    running, installed = head.dashboard.ray_version(), version("ray")
    if running != installed:
        raise LocalStackError(
            f"Ray {running} runs and {installed} is installed: `signals down`, then `signals up`"
        )
    return True


def replace_code(head: RayHead) -> None:
    """Replace all replicas, and tell the supervisor to replace the consumers.

    Serve and the supervisor are given the mark with the moment. A return to code that still runs, after
    other code has failed, is then a replacement as any other: its consumers began after it. Serve does
    nothing for a moment that it knows, so code that has failed is tried again with a new one.

    Raises:
        LocalStackError: the new code does not start; the former goes on serving.
        NotReadyError: it is late; a second `up` goes on.
    """
    mark, known = code_mark(), deployed(head)
    has_begun = known is not None and known.mark == mark and not _failures(head.applications())
    since = (known.since if known is not None and has_begun else None) or datetime.now(UTC).isoformat()
    remember(head, DeployedCode(mark=mark, since=since, is_complete=False))
    for only in (STAND_IN, None):
        head.deploy(f"{mark} {since}", only=only)
        _wait_for_replicas(head, only)
    remember(head, DeployedCode(mark=mark, since=since, is_complete=True))


def remember_replaced(head: RayHead) -> None:
    """Write down that all consumers run the deployed code: a clock that is set later changes nothing."""
    known = deployed(head)
    if known is not None and known.is_complete and known.since is not None:
        remember(head, replace(known, since=None))


def former_consumers(head: RayHead) -> list[str]:
    """Return the expected consumers that report and began before the last replacement.

    Raises:
        DependencyUnavailable: PostgreSQL does not answer.
    """
    known = deployed(head)
    if known is None or known.since is None:
        return []
    since = datetime.fromisoformat(known.since)
    with open_pool(PostgresSettings.from_env(), size=1) as pool, transaction(pool) as connection:
        found = workers.list_all(connection)
    expected = _consumers()  # another stack on the same database may have more
    former = [w.name for w in found if w.age_s < STALE_S and w.started_at < since and w.name in expected]
    return [f"{name} (former code)" for name in former]


def _wait_for_replicas(head: RayHead, only: str | None) -> None:
    began = time.monotonic()
    while waiting := _waiting(head, only):
        if time.monotonic() > began + LONGEST_S:
            raise NotReadyError(f"not replaced after {LONGEST_S:.0f} s: {', '.join(waiting)}; the rest runs")
        time.sleep(LOOK_S)


def _waiting(head: RayHead, only: str | None) -> list[str]:
    """Return which of the applications, or of the one, are not replaced yet."""
    found = {name: one for name, one in head.applications().items() if only in (None, name)}
    for name, cause in _failures(found).items():
        raise LocalStackError(
            f"the new code of {name} does not start ({cause}), the former goes on: "
            f"{PUT_BACK}; see `signals stack logs ray`"
        )
    return [name for name, one in found.items() if one["status"] != "RUNNING"]


def _failures(applications: Mapping[str, Any]) -> dict[str, str]:
    """Return the applications whose last code does not start, with the cause."""
    return {
        name: one["message"].strip().rpartition("\n")[2][:300]
        for name, one in applications.items()
        if one["status"] == "DEPLOY_FAILED"
    }


def _files(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        for path in (root / package).rglob("*"):
            if "__pycache__" not in path.parts and path.is_file():
                yield path


def _consumers() -> set[str]:
    counts = ConsumerSettings.from_env()
    return {f"{kind.name}-{n}" for kind in KINDS for n in range(getattr(counts, kind.setting))}


def _note(head: RayHead) -> Path:
    return head.temp / "code.json"
