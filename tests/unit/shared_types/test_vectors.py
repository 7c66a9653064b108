"""Every shipped vector: known inputs produce identical canonical outputs, keys or reasons."""

import json
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import shared_types

_FOLDER = Path(shared_types.__file__).parent / "vectors"


def _vectors(*, accepted: bool) -> list[Any]:
    parameters = []
    for path in sorted(_FOLDER.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        for vector in document["vectors"]:
            if ("canonical" in vector) is accepted:
                identity = f"{path.stem}: {vector['name']}"
                parameters.append(pytest.param(vector, document["context"], id=identity))
    return parameters


def _canonicalize(raw: dict[str, object], context: dict[str, str]) -> shared_types.Envelope:
    return shared_types.canonicalize(
        raw,
        tenancy=shared_types.Tenancy(context["org_id"], context["project_id"]),
        received_at=datetime.fromisoformat(context["received_at"]),
        event_id=uuid.UUID(context["event_id"]),
    )


@pytest.mark.parametrize(("vector", "context"), _vectors(accepted=True))
def test_accepted_vector_has_the_recorded_canonical_form_and_identity(
    vector: dict[str, Any], context: dict[str, str]
) -> None:
    envelope = _canonicalize(vector["input"], context)
    compact = json.dumps(vector["canonical"], separators=(",", ":"), ensure_ascii=False)
    assert envelope.to_json().decode() == compact
    assert shared_types.fingerprint(envelope) == vector["fingerprint"]
    assert shared_types.metric_name(envelope) == vector["metric_name"]
    assert shared_types.bucket_start(envelope) == datetime.fromisoformat(vector["bucket_start"])
    assert shared_types.partition_key(envelope) == vector["partition_key"]


@pytest.mark.parametrize(("vector", "context"), _vectors(accepted=True))
def test_canonical_form_of_a_vector_is_its_own_canonical_form(
    vector: dict[str, Any], context: dict[str, str]
) -> None:
    assert _canonicalize(vector["canonical"], context) == _canonicalize(vector["input"], context)


@pytest.mark.parametrize(("vector", "context"), _vectors(accepted=False))
def test_rejected_vector_names_its_code_and_field(vector: dict[str, Any], context: dict[str, str]) -> None:
    with pytest.raises(shared_types.InvalidEvent) as caught:
        _canonicalize(vector["input"], context)
    assert {"code": caught.value.code, "field": caught.value.field} == vector["error"]


def test_vectors_cover_enough_cases() -> None:
    """The issue asks for 40 at least; a lost folder must not pass as success."""
    assert len(_vectors(accepted=True)) >= 50
    assert len(_vectors(accepted=False)) >= 40
