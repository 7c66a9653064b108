"""docs/kubernetes.md says what the operator and the chart do."""

import re
import subprocess

import pytest
import yaml

from k8s.operator import values_schema
from k8s.operator.conditions import ALWAYS, WHEN_TRUE
from k8s.operator.manifests.configuration import secret_keys
from k8s.operator.manifests.monitoring import ALERTS
from k8s.operator.stack_types import SignalsStackSpec
from tests.unit.docs.markdown import ROOT, section, shell_blocks, table

PAGE = (ROOT / "docs/kubernetes.md").read_text()
EXAMPLES = values_schema.FILE.parent / "examples"


def test_every_alert_has_its_runbook() -> None:
    headings = re.findall(r"^### (\w+)$", section(PAGE, "Runbooks"), re.MULTILINE)
    assert headings == [alert[0] for alert in ALERTS]


def test_every_condition_is_explained() -> None:
    rows = table(section(PAGE, "Is it well?"), "condition")
    assert [name for row in rows for name in re.findall(r"[A-Z]\w+", row[0])] == [
        *ALWAYS,
        *sorted(WHEN_TRUE, key=lambda name: name in ("Paused", "Suspended")),
    ]


def test_digitalocean_section_makes_every_secret_of_the_example() -> None:
    values = yaml.safe_load((EXAMPLES / "digitalocean.yaml").read_text())
    spec = SignalsStackSpec.model_validate(
        values["stack"]["spec"] | {"image": "registry.example.com/signals:1"}
    )
    text = section(PAGE, "DigitalOcean, from nothing")
    rows = table(text, "variable of the product")
    for key in secret_keys(spec):
        assert [row for row in rows if key.variable in row[0] and key.secret in row[1]], key.variable
        if not key.is_certificate:
            assert re.search(rf"secret {key.secret} [^#]*--from-literal={key.key}=", text), key.variable
    assert {"signals-postgres-ca", "signals-kafka-ca", "signals-opensearch-ca"} == {
        key.secret for key in secret_keys(spec) if key.is_certificate
    }


@pytest.mark.parametrize("block", shell_blocks(PAGE), ids=lambda block: block.split("\n")[0][:40])
def test_shell_blocks_can_be_parsed(block: str) -> None:
    done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_links_inside_the_page_and_to_files_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        if target.startswith("#"):
            assert target[1:] in headings
        elif "://" not in target:
            assert (ROOT / "docs" / target).exists(), target
