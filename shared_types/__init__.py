"""The contract between producers and the product: envelope, canonical form, identity.

Imports pydantic and the standard library only. It has no clock, no chance and no I/O: the instant of
receipt and the spare event id are arguments. Source: docs/requirements.md, R11 to R14.
"""

from shared_types.canonical import MAX_AHEAD, Tenancy, canonicalize, parse_envelope
from shared_types.envelope import SCHEMA_VERSION, Attributes, Envelope, EventInput
from shared_types.errors import InvalidEvent
from shared_types.fingerprints import (
    Fingerprint,
    MetricName,
    RuleFingerprint,
    SeriesFingerprint,
    bucket_start,
    fingerprint,
    metric_name,
    partition_key,
    read_fingerprint,
)
from shared_types.schema import input_schema, json_schema
from shared_types.vocabulary import Environment, EventType, Severity

__all__ = [
    "MAX_AHEAD",
    "SCHEMA_VERSION",
    "Attributes",
    "Envelope",
    "Environment",
    "EventInput",
    "EventType",
    "Fingerprint",
    "InvalidEvent",
    "MetricName",
    "RuleFingerprint",
    "SeriesFingerprint",
    "Severity",
    "Tenancy",
    "bucket_start",
    "canonicalize",
    "fingerprint",
    "input_schema",
    "json_schema",
    "metric_name",
    "parse_envelope",
    "partition_key",
    "read_fingerprint",
]
