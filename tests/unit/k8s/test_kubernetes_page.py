"""The pages about Kubernetes match the operator and the chart."""

import re

import yaml

from k8s.operator import values_schema
from k8s.operator.conditions import ALWAYS, WHEN_TRUE
from k8s.operator.manifests.configuration import secret_keys
from k8s.operator.manifests.monitoring import ALERTS
from k8s.operator.observed import RayState
from k8s.operator.stack_types import KafkaSpec, OpenSearchSpec, PostgresSpec, SignalsStackSpec
from k8s.operator.verdicts import judge
from tests.unit.docs.markdown import ROOT, section, table
from tests.unit.k8s.facts import well

PAGE = (ROOT / "docs/how-to/kubernetes.md").read_text()
RUNBOOKS = (ROOT / "docs/operations/runbooks.md").read_text()
INSTALLING_KUBERAY = ("helm/signals/templates/NOTES.txt", "k8s/kind/kind.sh")
EXAMPLES = values_schema.FILE.parent / "examples"


def test_every_alert_has_its_runbook() -> None:
    headings = re.findall(r"^## (\w+)$", RUNBOOKS, re.MULTILINE)
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


def _versions(text: str) -> dict[str, set[str]]:
    return {
        name: set(re.findall(rf"{name}(?: operator)?,? (\d+(?:\.\d+)?)", text))
        for name in ("PostgreSQL", "Kafka", "OpenSearch", "KubeRay")
    }


def test_oldest_server_versions_agree_everywhere() -> None:
    [needed] = re.findall(r"^Needed: .*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    wanted = _versions(needed)
    assert [len(found) for found in wanted.values()] == [1, 1, 1, 1]
    [kuberay] = wanted.pop("KubeRay")
    own = (ROOT / "docs/how-to/connect-your-servers.md").read_text().partition("preflight` asks")[2]
    types = " ".join(str(kind.__doc__) for kind in (PostgresSpec, KafkaSpec, OpenSearchSpec))
    for text in (own.partition("rights")[0], types):
        assert _versions(text) == wanted | {"KubeRay": set()}
    preflight = (ROOT / "signals/services/operations/preflight.py").read_text()
    stated = re.findall(r"point \S+ to (?:Kafka )?([\d.]+) or newer", preflight)
    assert stated == [version for found in wanted.values() for version in found]
    [serve] = [v for v in judge(well(ray=RayState(known_kind=False)), []) if v.type == "ServeReady"]
    assert f"{kuberay} or newer" in serve.message
    for installs in (PAGE, *((ROOT / path).read_text() for path in INSTALLING_KUBERAY)):
        assert set(re.findall(r"(?:KUBERAY=|kuberay-operator --version )([\d.]+)", installs)) == {
            f"{kuberay}.0"
        }


def test_page_creates_every_object_of_the_digitalocean_example() -> None:
    text = section(PAGE, "DigitalOcean, from nothing")
    example = (EXAMPLES / "digitalocean.yaml").read_text()
    [certificate] = re.findall(r"certificate-name: (\S+)", example)
    assert f"doctl compute certificate create --type lets_encrypt --name {certificate} " in text
    used, made = (set(re.findall(pattern, text)) for pattern in (r"\$([A-Z_]{3,})\b", r"(?m)^([A-Z_]{3,})="))
    assert used - made == {"DIGITALOCEAN_ACCESS_TOKEN"}  # doctl's own, and said to be the reader's
