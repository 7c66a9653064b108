"""The release that all tests of pods share."""

from collections.abc import Iterator

import pytest

from tests.k8s.pods.node import node
from tests.k8s.pods.release import PRESENT, Deployed, install, timed
from tests.k8s.pods.servers import servers_for_pods


@pytest.fixture(scope="package")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The chart on a node, Ready."""
    with node() as cluster, servers_for_pods(tmp_path_factory.mktemp("servers")) as variables:
        release = Deployed(cluster=cluster, variables=variables)
        with timed("helm install until Ready"):
            install(release)
            release.until_ready(PRESENT)
        yield release
