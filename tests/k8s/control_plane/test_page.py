"""Commands of docs/how-to/kubernetes.md that a real API server can judge."""

import re

from tests.k8s.control_plane.control_plane import ControlPlane
from tests.unit.docs.markdown import ROOT, shell_blocks

PAGE = (ROOT / "docs/how-to/kubernetes.md").read_text()


def test_granting_pod_keeps_the_restricted_standard(cluster: ControlPlane, namespace: str) -> None:
    [block] = [block for block in shell_blocks(PAGE) if "kubectl -n signals run grant" in block]
    [overrides] = re.findall(r"^restricted='.*?'$", block, re.MULTILINE | re.DOTALL)
    [run] = re.findall(r"kubectl -n signals run grant .*?(?= \\\n  -- sh)", block, re.DOTALL)
    assert " --rm -i --quiet " in run
    dry = run.replace(" --rm -i --quiet ", " ").replace(
        "-n signals", f"-n {namespace}"
    )  # nothing to attach to

    cluster.run("bash", "-c", f"{overrides}\n{dry} --dry-run=server -- sh")

    bare = cluster.run("bash", "-c", f"restricted='{{}}'\n{dry} --dry-run=server -- sh", check=False)
    assert 'violates PodSecurity "restricted' in bare.stderr
