"""Applies both CustomResourceDefinitions of this version: the chart's hook, before install and upgrade.

Helm never updates the CRDs in crds/ after the first installation in a cluster.
"""

from lightkube import Client
from lightkube.generic_resource import create_global_resource

from k8s.operator.crds import scenario_crd, stack_crd

FIELD_MANAGER = "helm"  # Helm 4 applies crds/ under this name and would stumble over fields of another


def main() -> None:
    """Apply both CRDs server-side, taking over fields of other managers."""
    definition = create_global_resource(
        "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions"
    )
    with Client() as client:
        for crd in (stack_crd(), scenario_crd()):
            client.apply(definition.from_dict(crd), field_manager=FIELD_MANAGER, force=True)
            print(f"applied {crd['metadata']['name']}")  # noqa: T201  # the Job's log


if __name__ == "__main__":
    main()
