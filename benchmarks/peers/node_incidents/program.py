"""The peer's program: Node from its locked wheel, its packages from `package-lock.json`, our statements."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from benchmarks.peers.environments import cache
from benchmarks.timing import Program
from signals.settings import PostgresSettings
from signals.store.conditions import query_with
from signals.store.incidents import incident_context, incident_views
from tests.support.node import Node, fetching_alone, locked_node

HERE: Final = Path(__file__).parent
FILES: Final = ("package.json", "package-lock.json")
DETAIL: Final = {
    "incident": incident_views.GET,
    "reasons": incident_context.REASONS,
    "state": incident_context.STATE,
    "events": incident_context.EVENTS,
    "ai_jobs": incident_context.JOBS,
    "summary": incident_context.SUMMARY,
    "outage": incident_context.OUTAGE,
}
PARAMETER: Final = re.compile(r"%\((\w+)\)s")


def node_incidents(
    database: PostgresSettings, port: int, folder: Path, values: Mapping[str, object]
) -> Program:
    """Return the server's program; `values` are those of the statements' parameters, an id excepted."""
    with fetching_alone():
        node = locked_node()
        place = _installed(node)
    work = {
        "list": _statement("list", query_with(incident_views.LIST, {}, values)),
        "detail": [_statement(name, text) for name, text in DETAIL.items()],
        "values": dict(values),
    }
    statements = folder / "statements.json"
    statements.write_text(json.dumps(work))
    environment = {
        "BENCH_PORT": str(port),
        "BENCH_STATEMENTS": str(statements),
        "DATABASE_URL": database.database_url.get_secret_value(),
    }
    return Program(argv=(str(node.program), str(place / "server.mts")), environment=environment)


def _installed(node: Node) -> Path:
    """Return a folder with the server beside its packages; fetched once, then from the cache."""
    names = (*FILES, "server.mts")
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in names)).hexdigest()[:12]
    place = cache() / "bench-peers" / f"node_incidents-{digest}"
    if not (place / ".ready").exists():
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copy(HERE / name, place)
        node.run_npm(place, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        (place / ".ready").touch()
    return place


def _statement(name: str, text: str) -> dict[str, object]:
    """Number the parameters as PostgreSQL does; psycopg's names come along in that order."""
    names = list(_parameters(text))
    numbered = PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", text).replace("%%", "%")
    return {"name": name, "text": numbered, "parameters": names}


def _parameters(text: str) -> Iterable[str]:
    return dict.fromkeys(PARAMETER.findall(text))
