"""Field types that both kinds share: names, references, durations, conditions."""

import re
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

GROUP: Final = "signals.copilot.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

_DURATION: Final = r"^([0-9]+(\.[0-9]+)?(h|m|s|ms))+$"
_UNIT_S: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class ApiModel(BaseModel):
    """A frozen part of an object, in camelCase outside.

    Unknown fields are ignored: the API server prunes them, and a newer CRD must not stop an older operator.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


def rules(*pairs: tuple[str, str] | tuple[str, str, str]) -> dict[str, Any]:
    """Return CEL rules as (rule, message[, field path]) for `json_schema_extra`."""
    names = ("rule", "message", "fieldPath")
    return {"x-kubernetes-validations": [dict(zip(names, pair, strict=False)) for pair in pairs]}


def with_rules(*pairs: tuple[str, str] | tuple[str, str, str]) -> ConfigDict:
    """Return the configuration of a model whose objects keep CEL rules, given as for `rules`."""
    return ConfigDict(**ApiModel.model_config, json_schema_extra=rules(*pairs))


def parse_duration(text: str) -> timedelta:
    """Read a duration in Kubernetes' notation, like `90s` or `1h30m`.

    Raises:
        ValueError: when the text is not a duration.
    """
    if not re.fullmatch(_DURATION, text):
        raise ValueError(f"{text!r} is not a duration; write it like 90s, 10m or 1h30m")
    parts = re.findall(r"([\d.]+)(h|ms|m|s)", text)
    return timedelta(seconds=sum(float(amount) * _UNIT_S[unit] for amount, unit in parts))


def faults(error: ValidationError) -> str:
    """Describe the errors of a spec, field by field."""
    return "; ".join(
        f"spec.{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in error.errors()
    )


def _duration(text: str) -> str:
    parse_duration(text)
    return text


Duration = Annotated[
    str,
    AfterValidator(_duration),
    # the format lets CEL compare it, and accepts days and microseconds, which this package does not
    Field(max_length=16, json_schema_extra={"format": "duration", "pattern": _DURATION}),
]
Image = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$")]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
HttpUrl = Annotated[
    str,
    Field(
        max_length=512,
        json_schema_extra=rules(
            ("isURL(self) && url(self).getScheme() in ['https','http']", "must be an http(s) URL")
        ),
    ),
]


class SecretRef(ApiModel):
    """A Secret of the same namespace; without `key` the keys named in the field's description."""

    name: ObjectName = Field(description="name of the Secret")
    key: ObjectName | None = Field(default=None, description="another key than the usual one")


class NameRef(ApiModel):
    """A Secret of the same namespace, whose keys are those of the field's description."""

    name: ObjectName = Field(description="name of the Secret")


class KeyRef(ApiModel):
    """One key of a Secret or ConfigMap of the same namespace."""

    name: ObjectName = Field(description="name of the Secret or ConfigMap")
    key: ObjectName = Field(description="key in it")


class Condition(ApiModel):
    """One statement about the object, after the conventions of Kubernetes."""

    type: str = Field(max_length=316)
    status: Literal["True", "False", "Unknown"]
    reason: str = Field(min_length=1, max_length=1024)
    message: str = Field(max_length=32768)
    last_transition_time: str = Field(json_schema_extra={"format": "date-time"})
    observed_generation: int | None = Field(default=None, ge=0, json_schema_extra={"format": "int64"})


Conditions = Annotated[
    tuple[Condition, ...],
    Field(
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]
