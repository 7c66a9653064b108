"""Secrets stay out of reprs, of errors and of what is logged of them."""

import traceback

import pytest

from signals import settings
from signals.errors import SettingsError

SECRET = "hunter2-recognisable"
VARIABLES = {
    "DATABASE_URL": f"postgresql://signals:{SECRET}@db.example.com/signals",
    "KAFKA_BROKERS": "kafka.example.com:9092",
    "KAFKA_SASL_USERNAME": "signals",
    "KAFKA_SASL_PASSWORD": SECRET,
    "OPENSEARCH_URL": "https://search.example.com",
    "OPENSEARCH_USER": "signals",
    "OPENSEARCH_PASS": SECRET,
    "GRADIENT_API_KEY": SECRET,
}
KINDS = [
    settings.PostgresSettings,
    settings.KafkaSettings,
    settings.OpenSearchSettings,
    settings.ModelSettings,
]
FAULTS = [
    (settings.PostgresSettings, "PG_SSLMODE"),
    (settings.KafkaSettings, "KAFKA_SECURITY_PROTOCOL"),
    (settings.ModelSettings, "SIGNALS_AI_LEASE_S"),
]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_show_no_secret(kind: type[settings.EnvironmentSettings]) -> None:
    read = kind.from_env()
    assert SECRET not in f"{read!r} {read} {read.model_dump()} {read.model_dump_json()}"


@pytest.mark.parametrize(("kind", "variable"), FAULTS)
def test_faulty_setting_is_named_without_its_neighbours(
    kind: type[settings.EnvironmentSettings], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, SECRET)
    with pytest.raises(SettingsError, match=variable) as refusal:
        kind.from_env()
    assert SECRET not in "".join(traceback.format_exception(refusal.value))


def test_missing_setting_is_named_without_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_BROKERS")
    with pytest.raises(SettingsError, match="KAFKA_BROKERS") as refusal:
        settings.KafkaSettings.from_env()
    assert SECRET not in "".join(traceback.format_exception(refusal.value))
