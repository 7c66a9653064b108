"""The JSON Schemas of the contract, generated from the models and shipped beside this module.

`python -m shared_types.schema --write` renews the files. Source: JSON Schema draft 2020-12.
"""

import json
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from shared_types.envelope import SCHEMA_VERSION, Envelope, EventInput

FOLDER: Final = Path(__file__).parent
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the schema of the canonical envelope as it stands in Kafka."""
    return _schema(Envelope)


def input_schema() -> dict[str, Any]:
    """Return the schema of what a client may send."""
    return _schema(EventInput)


def shipped_files() -> dict[Path, str]:
    """Return what each shipped schema file must contain."""
    schemas = {"event-envelope": json_schema(), "event-input": input_schema()}
    return {
        FOLDER / f"{name}-{SCHEMA_VERSION}.schema.json": json.dumps(schema, indent=2) + "\n"
        for name, schema in schemas.items()
    }


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return {"$schema": _DIALECT, **model.model_json_schema()}
