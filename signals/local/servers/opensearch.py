"""OpenSearch 3.9, one node on the loopback address, with the HTTP transport as its only module."""

import http.client
import json
from dataclasses import dataclass
from pathlib import Path

from signals.local.files import make_public_folder, replace_file
from signals.local.processes.account import hand_over
from signals.local.processes.process import Command
from signals.local.servers.artifacts import ArtifactCache, Bundle, read_lock
from signals.local.servers.java import SMALL_JVM
from signals.local.servers.server import ServerPlace
from signals.ray_node.variables import HOST

BUNDLE = Bundle(name="opensearch", title="OpenSearch", artifacts=read_lock("opensearch"))
VERSION = "3.9.0"
HEAP = ("-Xms64m", "-Xmx320m", "-XX:MaxDirectMemorySize=64m")
"""Enough for bulk loads of 50,000 documents at 6,000/s (recipe, measured)."""
PLUGIN_DESCRIPTOR = f"""\
name=transport-netty4
description=HTTP and node transport
version={VERSION}
opensearch.version={VERSION}
java.version=11
classname=org.opensearch.transport.Netty4ModulePlugin
custom.foldername=
extended.plugins=
has.native.controller=false
"""
LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


def home_in(cache: ArtifactCache) -> Path:
    """The installation, fetched if need be, with the files that no artefact brings."""
    home = cache.home_of(BUNDLE)
    descriptor = home / "modules" / "transport-netty4" / "plugin-descriptor.properties"
    if not descriptor.exists():
        for empty in ("bin", "plugins"):  # OpenSearch reads them at every start
            make_public_folder(home / empty)
        replace_file(descriptor, PLUGIN_DESCRIPTOR, mode=0o644)
    return home


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSearch:
    """The recipe for one node."""

    place: ServerPlace
    home: Path
    java: Path
    port: int

    def prepare(self) -> None:
        """Write the configuration."""
        data = self.place.data
        hand_over(self.place.account, data)
        for folder in (data / "config", data / "tmp", data / "nodes", data / "logs"):
            hand_over(self.place.account, folder)
        settings = {
            "cluster.name": "signals-local",
            "node.name": "local",
            "path.data": [str(data / "nodes")],  # a list: a text would be split at commas
            "path.logs": str(data / "logs"),
            "network.host": HOST,
            "http.port": self.port,
            "transport.port": "9300-9400",  # the first free one; no client uses it
            "discovery.type": "single-node",
            "action.auto_create_index": "false",
            "cluster.routing.allocation.disk.threshold_enabled": "false",
        }
        text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items())
        replace_file(data / "config" / "opensearch.yml", text, mode=0o644)
        replace_file(data / "config" / "log4j2.properties", LOGGING, mode=0o644)

    def command(self) -> Command:
        """The node's command line."""
        data = self.place.data
        properties = {
            "java.io.tmpdir": data / "tmp",
            "jna.tmpdir": data / "tmp",
            "log4j2.disable.jmx": "true",
            "io.netty.noUnsafe": "true",
            "opensearch.path.home": self.home,
            "opensearch.path.conf": data / "config",
            "opensearch.distribution.type": "tar",
            "opensearch.bundled_jdk": "false",
        }
        return Command(
            argv=(
                str(self.java),
                *HEAP,
                *SMALL_JVM,
                *(f"-D{key}={value}" for key, value in properties.items()),
                "-cp",
                f"{self.home}/lib/*",
                "org.opensearch.bootstrap.OpenSearch",
            ),
            env={"HOME": str(data), "LC_ALL": "C.UTF-8"},
            cwd=data,
            account=self.place.account,
        )

    def is_ready(self) -> bool:
        """Whether it answers and every index can be read."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/_cluster/health?wait_for_status=yellow&timeout=2s")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def variables(self) -> dict[str, str]:
        """Where clients find it."""
        return {"OPENSEARCH_URL": f"http://{HOST}:{self.port}"}
