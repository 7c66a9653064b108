"""PgBouncer in transaction mode before a PostgreSQL of the tests."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from signals.local.processes.account import account_to_drop_to, hand_over
from signals.local.processes.ports import free_port, is_listening
from signals.ray_node.variables import HOST
from tests.support.waiting import until

SYSTEM_FOLDERS = "/usr/sbin:/usr/local/sbin:/opt/homebrew/bin"
CONFIGURATION = """\
[databases]
* = host={host} port={server_port}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 5
query_wait_timeout = 60
server_idle_timeout = 5
logfile = {folder}/log
"""


@contextmanager
def pooled(address: str, folder: Path) -> Iterator[str]:
    """Start it in front of the server in `address`; yields the address without a database, through it."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path=SYSTEM_FOLDERS)
    assert program, "PgBouncer is not installed; on Debian and Ubuntu: apt install pgbouncer"
    server, account, port = urlsplit(address), account_to_drop_to(), free_port()
    folder.mkdir()
    (folder / "users").write_text(f'"{server.username}" "{server.password}"\n')
    (folder / "ini").write_text(
        CONFIGURATION.format(host=HOST, server_port=server.port, port=port, folder=folder)
    )
    hand_over(account, folder)
    process = subprocess.Popen(
        [program, "-q", folder / "ini"],
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        cwd=folder,
    )
    try:
        until(lambda: is_listening(HOST, port))
        yield f"postgresql://{server.username}:{server.password}@{HOST}:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)
