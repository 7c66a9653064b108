"""The shipped JSON Schemas and the cost of importing the contract."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # no stubs in the lock; used in this test only
import pytest

import shared_types
from shared_types.envelope import TEXT_ATTRIBUTES
from shared_types.schema import shipped_files

_VECTORS = Path(shared_types.__file__).parent / "vectors"
_HEAVY = {
    "ray",
    "confluent_kafka",
    "psycopg",
    "opensearchpy",
    "openai",
    "starlette",
    "orjson",
    "signals",
    "aiohttp",
}


def _accepted() -> list[dict[str, Any]]:
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(_VECTORS.glob("*.json"))]
    return [vector for document in documents for vector in document["vectors"] if "canonical" in vector]


@pytest.mark.parametrize("path", shipped_files(), ids=lambda path: path.name)
def test_shipped_schema_equals_the_models(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == shipped_files()[path], "run: python -m shared_types.schema --write"


def test_every_canonical_vector_satisfies_the_envelope_schema() -> None:
    validator = jsonschema.Draft202012Validator(shared_types.json_schema())
    for vector in _accepted():
        validator.validate(vector["canonical"])


def test_every_canonical_vector_is_also_valid_input() -> None:
    validator = jsonschema.Draft202012Validator(shared_types.input_schema())
    for vector in _accepted():
        validator.validate(vector["canonical"])


def test_schema_requires_the_fields_of_requirement_r13() -> None:
    assert set(shared_types.input_schema()["required"]) == {"event_type", "occurred_at", "message"}
    assert shared_types.input_schema()["additionalProperties"] is False


def test_the_limits_of_text_attributes_are_those_of_the_schema() -> None:
    published = shared_types.input_schema()["$defs"]["Attributes"]["properties"]
    limits = {name: field["anyOf"][0].get("maxLength") for name, field in published.items()}
    assert limits == {**TEXT_ATTRIBUTES, "status_code": None}


def test_importing_the_contract_imports_no_server_library() -> None:
    program = "import sys, shared_types; print(*sorted(name.partition('.')[0] for name in sys.modules))"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert _HEAVY.isdisjoint(finished.stdout.split())
