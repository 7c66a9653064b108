"""PostgreSQL on the loopback address: one cluster, one role and one database named `signals`."""

import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from signals.local.files import replace_file
from signals.local.processes.account import hand_over
from signals.local.processes.process import Command, run_to_end
from signals.local.servers.postgres_install import Installation
from signals.local.servers.server import ServerPlace
from signals.ray_node.variables import HOST

ROLE = DATABASE = "signals"
SETTINGS = {
    "unix_socket_directories": "",  # a socket's path has a length limit that deep folders exceed
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "jit": "off",  # short queries only; compiling them costs more than it saves
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",  # DETAIL and CONTEXT quote rows, and with them the text of events
}
READY_LINE = 7
"""Of postmaster.pid, counted from 0; as pg_ctl itself reads it (pg_ctl.c, LOCK_FILE_LINE_PM_STATUS)."""
BUILTIN_LOCALE_SINCE = 17
SSL_REQUEST = struct.pack(">ii", 8, 80877103)
"""The only question that needs no login (protocol-message-formats, SSLRequest): answered with S or N."""


def data_major(place: ServerPlace) -> int | None:
    """The major version that made the data folder, or None while there is none."""
    try:
        return int((place.data / "cluster" / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """The recipe for one PostgreSQL server."""

    place: ServerPlace
    installation: Installation
    port: int
    password: str

    def prepare(self) -> None:
        """Make the cluster and our database the first time.

        It is made beside its place and moved there when whole: an interrupted start leaves nothing half.
        """
        hand_over(self.place.account, self.place.data)
        if (self._cluster / "PG_VERSION").exists():
            return
        fresh = self.place.data / "fresh"
        self._run("rm", "-rf", str(fresh))
        replace_file(self._password_file, self.password)
        hand_over(self.place.account, self.place.data)
        locale: tuple[str, ...] = ("--locale=C",)
        if self.installation.major >= BUILTIN_LOCALE_SINCE:
            locale += ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        initdb = (str(self.installation.bin / "initdb"), "-D", str(fresh), "-E", "UTF8", *locale)
        self._run(
            *initdb,
            "-U",
            ROLE,
            "-A",
            "scram-sha-256",
            "--pwfile",
            str(self._password_file),
            "--no-instructions",
        )
        single = (str(self.installation.bin / "postgres"), "--single", "-D", str(fresh), "postgres")
        self._run(*single, stdin=f"CREATE DATABASE {DATABASE}\n")
        self._password_file.unlink()
        fresh.rename(self._cluster)

    def command(self) -> Command:
        """The postmaster's command line."""
        settings = (part for key, value in SETTINGS.items() for part in ("-c", f"{key}={value}"))
        postgres = (str(self.installation.bin / "postgres"), "-D", str(self._cluster))
        return Command(
            argv=(*postgres, "-h", HOST, "-p", str(self.port), *settings),
            env=self._environment,
            cwd=self.place.data,
            account=self.place.account,
        )

    def is_ready(self) -> bool:
        """Whether connections are accepted.

        The file is read after the port has answered: before that it may be the one that a crash left.
        """
        try:
            with socket.create_connection((HOST, self.port), timeout=2) as connection:
                connection.sendall(SSL_REQUEST)
                if not connection.recv(1):
                    return False
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > READY_LINE and lines[READY_LINE].strip() == "ready"

    def variables(self) -> dict[str, str]:
        """Where clients find it."""
        url = f"postgresql://{ROLE}:{self.password}@{HOST}:{self.port}/{DATABASE}"
        return {"DATABASE_URL": url, "PG_SSLMODE": "disable"}

    @property
    def _cluster(self) -> Path:
        return self.place.data / "cluster"

    @property
    def _password_file(self) -> Path:
        return self.place.data / "password"

    @property
    def _environment(self) -> dict[str, str]:
        return {"HOME": str(self.place.data), "LC_ALL": "C", "PATH": "/usr/bin:/bin"}

    def _run(self, *argv: str, stdin: str = "") -> None:
        command = Command(argv=argv, env=self._environment, cwd=self.place.data, account=self.place.account)
        run_to_end(command, duty="make PostgreSQL's data folder", stdin=stdin)
