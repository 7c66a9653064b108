"""The commands of the pages work on the running product, in the order in which a reader meets them."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.product import Product
from tests.system.e2e.test_acceptance import spike
from tests.unit.docs.markdown import ROOT, shell_blocks

PAGES: Final = (
    "README.md",
    "docs/quickstart.md",
    "docs/how-to/send-events.md",
    "docs/how-to/read-incidents.md",
    "docs/how-to/write-rules.md",
    "docs/how-to/manage-keys.md",
    "docs/how-to/send-from-pages.md",
    "docs/how-to/send-deploys.md",
    "docs/how-to/choose-signups-and-fields.md",
    "docs/how-to/dead-letters.md",
    "docs/how-to/troubleshoot.md",
    "docs/concepts/ledger.md",
)
ELSEWHERE: Final = re.compile(r"^(make |export PATH|set -a; \. \.signals/env|signals stack )")
"""Lines about the local stack in `.signals`: this product has its own folder and environment."""
PREAMBLE: Final = 'set -euo pipefail; curl() { command curl --fail-with-body --retry 6 "$@"; }\n'
"""A reader whose request is answered with 503, as Kafka is slow, sends it again."""
SHORT: Final = "--duration 4s"
WITHIN_S: Final = 1000  # a page has up to forty commands, each an interpreter: 198 s at load 21

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def has_incident(product: Product) -> Product:
    """The product with an incident, as after `make demo`."""
    spike(product, "PAGES")
    return product


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_the_page_succeed(has_incident: Product, page: str) -> None:
    blocks = "\n".join(shell_blocks((ROOT / page).read_text()))
    lines = [line for line in blocks.splitlines() if not ELSEWHERE.match(line)]
    script = PREAMBLE + re.sub(r"--duration \w+", SHORT, "\n".join(lines))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-x"],
        input=script,
        env={**os.environ, **has_incident.environment, "PATH": path},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
