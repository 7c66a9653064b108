"""Apache Kafka 4.4, one node in KRaft mode, small and quick to restart."""

import socket
import struct
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

from signals.local.files import replace_file
from signals.local.processes.account import hand_over
from signals.local.processes.process import Command, run_to_end
from signals.local.servers.artifacts import Bundle, read_lock
from signals.local.servers.java import SMALL_JVM
from signals.local.servers.server import ServerPlace
from signals.ray_node.variables import HOST

BUNDLE = Bundle(name="kafka", title="Kafka", artifacts=read_lock("kafka"))
HEAP = ("-Xms32m", "-Xmx128m")
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    # one node: every internal topic has one partition and one copy
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "auto.create.topics.enable": "false",
    # small footprint
    "log.segment.bytes": "16777216",
    "log.index.size.max.bytes": "1048576",
    "log.cleaner.dedupe.buffer.size": "2097152",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "background.threads": "2",
    # a consumer that died is noticed in seconds, a new one starts at once
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "3000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.session.timeout.ms": "3000",
    "group.consumer.heartbeat.interval.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    # a crashed broker may return when its old session has run out: 6 s instead of 9 s
    # (the recipe's 3 s are quicker still, but fence the broker when two cores are starved)
    "controlled.shutdown.enable": "true",
    "broker.session.timeout.ms": "6000",
    "broker.heartbeat.interval.ms": "1000",
}
"""Everything but paths and ports."""
METADATA_REQUEST = struct.pack(">hhihi", 3, 1, 1, -1, 0)
"""Header (Metadata, version 1, correlation 1, no client id) and an empty list of topics: brokers only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kafka:
    """The recipe for one broker."""

    place: ServerPlace
    home: Path
    java: Path
    port: int
    controller_port: int
    advertised_port: int | None = None
    """Where clients are sent when something stands before the broker; its own port otherwise."""

    def prepare(self) -> None:
        """Write the configuration and format the log folder the first time."""
        hand_over(self.place.account, self.place.data)
        settings = SETTINGS | {
            "listeners": f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.advertised_port or self.port}",
            "controller.quorum.bootstrap.servers": f"{HOST}:{self.controller_port}",
            "log.dirs": self._log_folder.name,  # relative to the working folder: any path is then allowed
        }
        text = "".join(f"{key}={value}\n" for key, value in settings.items())
        replace_file(self._properties, text, mode=0o644)
        if not (self._log_folder / "meta.properties").exists():
            self._format()

    def command(self) -> Command:
        """The broker's command line."""
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return self._java(*HEAP, quiet, main="kafka.Kafka", arguments=(str(self._properties),))

    def is_ready(self) -> bool:
        """Whether the broker lists itself, which it does once it is no longer fenced."""
        try:
            with socket.create_connection((HOST, self.port), timeout=2) as connection:
                connection.sendall(struct.pack(">i", len(METADATA_REQUEST)) + METADATA_REQUEST)
                with connection.makefile("rb") as answer:
                    _size, _correlation, brokers = struct.unpack(">iii", answer.read(12))
                    return bool(brokers > 0)
        except (OSError, struct.error):
            return False

    def variables(self) -> dict[str, str]:
        """Where clients find it."""
        return {"KAFKA_BROKERS": f"{HOST}:{self.port}", "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}

    @property
    def _properties(self) -> Path:
        return self.place.data / "server.properties"

    @property
    def _log_folder(self) -> Path:
        return self.place.data / "log"

    def _format(self) -> None:
        identity = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        arguments = (
            "format",
            "--standalone",
            f"--cluster-id={identity}",
            "--config",
            str(self._properties),
        )
        command = self._java("-Xmx128m", main="kafka.tools.StorageTool", arguments=arguments)
        run_to_end(command, duty="format Kafka's log folder")

    def _java(self, *flags: str, main: str, arguments: tuple[str, ...]) -> Command:
        return Command(
            argv=(
                str(self.java),
                *flags,
                *SMALL_JVM,
                "-cp",
                f"{self.home}/lib/*",
                main,
                *arguments,
            ),
            env={"HOME": str(self.place.data), "LC_ALL": "C.UTF-8"},
            cwd=self.place.data,
            account=self.place.account,
        )
