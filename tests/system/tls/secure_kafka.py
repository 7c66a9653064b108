"""A Kafka broker of the tests' own with SASL_SSL listeners: one valid certificate, one expired."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._scram import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from signals.local.processes.ports import free_port
from signals.local.processes.process import ChildProcess
from signals.local.servers.kafka import Kafka
from signals.local.servers.server import Server, ServerPlace
from signals.ray_node.variables import HOST
from tests.support.waiting import until
from tests.system.tls.certificates import NAME

USER, PASSWORD = "signals", "kafka-s3cret"
LOGIN_MS = 3_000
ADMIN_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where one certificate is shown; with `login_ms`, clients must log in again that often."""

    port: int
    keystore: Path
    login_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureKafka(Kafka):
    """The local broker's recipe and more listeners; users log in by SCRAM-SHA-256 only."""

    secure: Mapping[str, Listener]

    def prepare(self) -> None:
        Kafka.prepare(self)
        plain = f"PLAINTEXT://{HOST}:{self.port}"
        bound = [f"{name}://{HOST}:{listener.port}" for name, listener in self.secure.items()]
        advertised = [f"{name}://{NAME}:{listener.port}" for name, listener in self.secure.items()]
        protocols = [
            "CONTROLLER:PLAINTEXT",
            "PLAINTEXT:PLAINTEXT",
            *(f"{name}:SASL_SSL" for name in self.secure),
        ]
        settings = {
            "listeners": ",".join((plain, f"CONTROLLER://{HOST}:{self.controller_port}", *bound)),
            "advertised.listeners": ",".join((plain, *advertised)),
            "listener.security.protocol.map": ",".join(protocols),
            "sasl.enabled.mechanisms": "SCRAM-SHA-256",
        }
        for name, listener in self.secure.items():
            prefix = f"listener.name.{name.lower()}"
            settings |= {
                f"{prefix}.ssl.keystore.type": "PEM",
                f"{prefix}.ssl.keystore.location": str(listener.keystore),
                f"{prefix}.scram-sha-256.sasl.jaas.config": (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                ),
                f"{prefix}.connections.max.reauth.ms": str(listener.login_ms),
            }
        with (self.place.data / "server.properties").open("a") as properties:
            properties.writelines(f"{key}={value}\n" for key, value in settings.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Brokers:
    """Ports of the running broker."""

    valid: int
    expired: int
    plain: int
    short_logins: int


@contextmanager
def running(like: Kafka, folder: Path, *, valid: Path, expired: Path) -> Iterator[Brokers]:
    """Start a broker from the files of another one, in `folder`, with one user who may log in."""
    secure = {
        "VALID": Listener(port=free_port(), keystore=valid),
        "EXPIRED": Listener(port=free_port(), keystore=expired),
        "SHORT": Listener(port=free_port(), keystore=valid, login_ms=LOGIN_MS),
    }
    recipe = SecureKafka(
        place=ServerPlace(data=folder / "data", account=like.place.account),
        home=like.home,
        java=like.java,
        port=free_port(),
        controller_port=free_port(),
        secure=secure,
    )
    process = ChildProcess(name="secure-kafka", pid_path=folder / "pid", log_path=folder / "log")
    server = Server(recipe=recipe, process=process, tie_to_parent=True)
    server.start()
    try:
        add_user(f"{HOST}:{recipe.port}", USER, PASSWORD)
        yield Brokers(
            valid=secure["VALID"].port,
            expired=secure["EXPIRED"].port,
            plain=recipe.port,
            short_logins=secure["SHORT"].port,
        )
    finally:
        server.stop()


def add_user(brokers: str, user: str, password: str) -> None:
    """Let a user log in with this password from now on."""
    credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
    _alter(brokers, UserScramCredentialUpsertion(user, credential, password.encode()))


def remove_user(brokers: str, user: str) -> None:
    """Remove the user; connections stay until they must log in again."""
    _alter(brokers, UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_256))


def _alter(brokers: str, change: UserScramCredentialAlteration) -> None:
    admin = AdminClient({"bootstrap.servers": brokers})  # closing the client would cancel the change
    for future in admin.alter_user_scram_credentials([change]).values():
        future.result(timeout=ADMIN_S)


def delete_topics(brokers: str) -> None:
    """Delete all topics but Kafka's own, and wait until they are gone."""
    admin = AdminClient({"bootstrap.servers": brokers})

    def ours() -> list[str]:
        found = admin.list_topics(timeout=ADMIN_S).topics
        return [name for name in found if not name.startswith("__")]

    for future in admin.delete_topics(ours()).values():
        future.result(timeout=ADMIN_S)
    until(lambda: not ours(), within_s=ADMIN_S)
