"""The three servers behind TLS, once for all tests of this folder."""

import base64
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from signals.local.servers.kafka import Kafka
from signals.local.servers.postgres import Postgres
from signals.local.stack import RunningStack
from tests.system.tls import secure_kafka, secure_opensearch, secure_postgres
from tests.system.tls.certificates import Certificates, issue, write
from tests.system.tls.secure_kafka import Brokers
from tests.system.tls.secure_opensearch import SecureOpenSearch
from tests.system.tls.secure_postgres import SecurePostgres


@pytest.fixture(scope="package")
def certificates() -> Certificates:
    """Our CA, a stranger's, and servers' certificates."""
    return issue()


@pytest.fixture(scope="package")
def folder(
    servers: RunningStack, tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Path:
    """A folder that the servers' account can read, with every certificate as a file."""
    postgres = servers.servers["postgres"].recipe
    assert isinstance(postgres, Postgres)
    folder = postgres.place.data.parent / "tls"
    folder.mkdir(mode=0o755, exist_ok=True)
    folder.chmod(0o755)
    write(folder, "ca.pem", certificates.ca)
    write(folder, "valid.pem", certificates.valid)
    write(folder, "expired.pem", certificates.expired)
    write(folder, "other-valid.pem", certificates.other_valid)
    return folder


@pytest.fixture(scope="package")
def brokers(servers: RunningStack, folder: Path) -> Iterator[Brokers]:
    """Kafka with SASL_SSL and SCRAM-SHA-256."""
    like = servers.servers["kafka"].recipe
    assert isinstance(like, Kafka)
    home = folder / "kafka"
    home.mkdir(exist_ok=True)
    valid, expired = folder / "valid.pem", folder / "expired.pem"
    with secure_kafka.running(like, home, valid=valid, expired=expired) as brokers:
        yield brokers


@pytest.fixture(scope="package")
def opened_postgres(servers: RunningStack) -> Iterator[SecurePostgres]:
    """PostgreSQL with a role that must use TLS."""
    server = servers.servers["postgres"].recipe
    assert isinstance(server, Postgres)
    with secure_postgres.opened(server) as secure:
        yield secure


@pytest.fixture
def secure_database(opened_postgres: SecurePostgres, certificates: Certificates) -> SecurePostgres:
    """PostgreSQL showing its valid certificate."""
    opened_postgres.show(certificates.valid)
    return opened_postgres


@pytest.fixture(scope="package")
def secure_search(servers: RunningStack, folder: Path) -> Iterator[SecureOpenSearch]:
    """OpenSearch over HTTPS with basic authentication."""
    upstream = urlsplit(servers.environment["OPENSEARCH_URL"]).netloc
    valid, expired = folder / "valid.pem", folder / "expired.pem"
    with secure_opensearch.running(upstream, folder, valid=valid, expired=expired) as secure:
        yield secure


@pytest.fixture(params=["path", "text", "base64"])
def ca(request: pytest.FixtureRequest, certificates: Certificates, folder: Path) -> str:
    """Our CA in each form that a variable may have."""
    return {
        "path": str(folder / "ca.pem"),
        "text": certificates.ca,
        "base64": base64.b64encode(certificates.ca.encode()).decode(),
    }[request.param]
