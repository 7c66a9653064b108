"""The shipped CRDs match the types."""

from datetime import timedelta

import pytest

from k8s.operator import crds
from k8s.operator.api import parse_duration


@pytest.mark.parametrize("name", sorted(crds.rendered()))
def test_shipped_crd_matches_the_types(name: str) -> None:
    assert (crds.FOLDER / name).read_text() == crds.rendered()[name], "run `make crds`"


def test_crd_folder_holds_only_the_crds() -> None:
    assert {path.name for path in crds.FOLDER.iterdir()} == set(crds.rendered())


def test_defaults_are_written_out_and_nothing_is_nullable() -> None:
    text = "".join(crds.rendered().values())
    assert "null" not in text
    assert "$ref" not in text
    spec = crds.stack_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert spec["properties"]["ingest"]["default"] == {
        "replicas": 2,
        "service": {"type": "ClusterIP", "annotations": {}},
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5m", timedelta(seconds=90)),
        ("250ms", timedelta(milliseconds=250)),
    ],
)
def test_duration_is_read_as_kubernetes_writes_it(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "10", "m", "-1s", "1d", "5 m"])
def test_malformed_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write it like"):
        parse_duration(text)
