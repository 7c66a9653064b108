"""The Job of a scenario: golden manifests, and what must hold for every spec."""

import pytest

from k8s.operator.scenario.expectations import FINGERPRINTS
from producers.scenarios import Mode
from tests.unit.docs.markdown import ROOT
from tests.unit.k8s import golden
from tests.unit.k8s.golden import scenario_of
from tests.unit.k8s.scenario_specs import CASES, LOADGEN


@pytest.mark.parametrize("case", CASES)
def test_job_matches_the_golden_file(case: str) -> None:
    written = (golden.FOLDER / f"{case}.yaml").read_text()
    assert golden.rendered_scenario(case) == written, "on purpose? python -m tests.unit.k8s.golden"


@pytest.mark.parametrize("case", CASES)
def test_pods_keep_the_restricted_standard_and_get_no_secret_of_the_stack(case: str) -> None:
    pod = scenario_of(CASES[case])["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert [entry["name"] for entry in container["env"]] == ["INGEST_API_URL", "PROJECT_API_KEY"]
    assert not any("secret" in volume or "projected" in volume for volume in pod["volumes"])


@pytest.mark.parametrize("duration", ["500ms", "90s", "24h"])
def test_durations_are_converted_for_loadgen(duration: str) -> None:
    command = scenario_of(LOADGEN | {"loadgen": {"mode": "normal", "duration": duration}})["spec"]["template"]
    seconds = {"500ms": "0.5s", "90s": "90s", "24h": "86400s"}[duration]
    assert f"--duration={seconds}" in command["spec"]["containers"][0]["command"]


def test_every_scenario_with_an_incident_has_a_fingerprint() -> None:
    assert set(FINGERPRINTS) == {mode.value for mode in Mode} - {"normal"}
    page = (ROOT / "docs/how-to/send-events.md").read_text().replace("\\|", "|")
    for mode, fingerprint in FINGERPRINTS.items():
        assert (ROOT / "fixtures" / "scenarios" / f"{mode}.ndjson").exists()
        assert f"`{fingerprint}`" in page
