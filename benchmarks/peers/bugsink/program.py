"""Bugsink in its own set-up for one server: SQLite, gunicorn, and snappea that digests what was spooled.

It answers when an envelope lies in a file, before it is digested; a round ends when the last one is. Its
quotas are lifted: they would refuse the load.
"""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.bodies import read_bodies
from benchmarks.cpu import tree_cpu_s
from benchmarks.peers.marks import mark

PROGRAMS = Path(sys.executable).parent
WORKERS = 2  # of gunicorn, as its page on sizing says for two cores
CLIENTS = 4  # more only wait for a worker, and time out on a busy machine
POLL_S = 0.05
UP_WITHIN_S = 60.0
PERIODS = ("PER_5_MINUTES", "PER_HOUR", "PER_MONTH")
QUOTAS = {f"MAX_EVENTS_{part}{period}": 10**9 for part in ("", "PER_PROJECT_") for period in PERIODS}
PROJECT = """
from projects.models import Project
from teams.models import Team
project = Project.objects.create(name="bench", team=Team.objects.create(name="bench"))
print("key", project.sentry_key.hex)
"""


def prepare(folder: Path) -> str:
    """Make configuration, databases and a project; return its key."""
    _run(folder, "bugsink-create-conf", "--template=singleserver", "--host=127.0.0.1", f"--base-dir={folder}")
    with (folder / "bugsink_conf.py").open("a") as conf:
        conf.write(f"BUGSINK.update({QUOTAS!r})\n")
    _run(folder, "bugsink-manage", "migrate")
    _run(folder, "bugsink-manage", "migrate", "snappea", "--database=snappea")
    return _run(folder, "bugsink-manage", "shell", "-c", PROJECT).rpartition("key ")[2].strip()


@contextmanager
def serving(folder: Path, port: int) -> Iterator[None]:
    """Run the web server and the digesting process."""
    commands = (
        ("gunicorn", f"--bind=127.0.0.1:{port}", f"--workers={WORKERS}", "bugsink.wsgi"),
        ("bugsink-runsnappea",),
    )
    running = [
        subprocess.Popen([PROGRAMS / name, *options], cwd=folder, env=_environment(), stdout=sys.stderr)
        for name, *options in commands
    ]
    try:
        _wait_until_up(port)
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def send(port: int, key: str, bodies: list[bytes]) -> None:
    """Post envelopes one after the other; each must be accepted."""
    headers = {"Content-Encoding": "br", "X-Sentry-Auth": f"Sentry sentry_key={key}, sentry_version=7"}
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        for body in bodies:
            connection.request("POST", "/api/1/envelope/", body, headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()


def wait_until_digested(folder: Path, events: int) -> None:
    """Wait until so many events stand in the database."""
    with closing(sqlite3.connect(f"file:{folder}/db.sqlite3?mode=ro", uri=True)) as database:
        while database.execute("SELECT count(*) FROM events_event").fetchone()[0] < events:
            time.sleep(POLL_S)


def _wait_until_up(port: int) -> None:
    ends_at = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < ends_at:
        with suppress(OSError), closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/health/ready")
            if connection.getresponse().status < 500:
                return
        time.sleep(POLL_S)
    raise RuntimeError(f"Bugsink did not answer within {UP_WITHIN_S:g} s")


def _run(folder: Path, name: str, *options: str) -> str:
    return subprocess.run(
        [PROGRAMS / name, *options],
        cwd=folder,
        env=_environment(),
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    ).stdout


def _environment() -> Mapping[str, str]:
    return {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "HOME": os.environ.get("HOME", "/")}


def main() -> None:
    """Send each body once, and wait for the last to be digested."""
    folder, port = Path(os.environ["BENCH_FOLDER"]), int(os.environ["BENCH_PORT"])
    bodies = read_bodies(Path(os.environ["BENCH_BODIES"]))[: int(os.environ["BENCH_EVENTS"])]
    key = prepare(folder)
    with serving(folder, port):
        mark("first", when=(time.monotonic(), tree_cpu_s(os.getpid())))
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda part: send(port, key, part), (bodies[n::CLIENTS] for n in range(CLIENTS))))
        wait_until_digested(folder, len(bodies))
        mark("done", events=len(bodies), when=(time.monotonic(), tree_cpu_s(os.getpid())))


if __name__ == "__main__":
    main()
