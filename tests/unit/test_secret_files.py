"""Settings come from the environment first, then from files as Kubernetes mounts them."""

from pathlib import Path

import pytest

from signals.errors import SettingsError
from signals.settings import ConsumerSettings, KafkaSettings, PostgresSettings
from tests.support.mounting import mount


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "KAFKA_BROKERS", "KAFKA_SASL_USERNAME", "SIGNALS_DETECTORS"):
        monkeypatch.delenv(name, raising=False)


def test_unset_variables_are_read_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "DATABASE_URL": "postgresql://from-file/x\n",
        "KAFKA_BROKERS": "from-file:9092",
        "SIGNALS_DETECTORS": "3",
    }
    monkeypatch.setenv("SIGNALS_SECRETS_DIR", str(mount(tmp_path, files | {"KAFKA_SASL_USERNAME": ""})))
    monkeypatch.setenv("KAFKA_BROKERS", "from-environment:9092")
    assert PostgresSettings.from_env().database_url.get_secret_value() == "postgresql://from-file/x"
    assert KafkaSettings.from_env().kafka_brokers == "from-environment:9092"
    assert KafkaSettings.from_env().kafka_sasl_username is None
    assert ConsumerSettings.from_env().model_dump()["detectors"] == 3


def test_an_empty_variable_does_not_hide_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALS_SECRETS_DIR", str(mount(tmp_path, {"KAFKA_BROKERS": "from-file:9092"})))
    monkeypatch.setenv("KAFKA_BROKERS", "")
    assert KafkaSettings.from_env().kafka_brokers == "from-file:9092"


def test_a_new_version_is_read_at_the_next_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALS_SECRETS_DIR", str(mount(tmp_path, {"DATABASE_URL": "postgresql://a/x"})))
    before = PostgresSettings.from_env()
    mount(tmp_path, {"DATABASE_URL": "postgresql://b/x"})
    assert PostgresSettings.from_env() != before
    assert PostgresSettings.from_env().database_url.get_secret_value() == "postgresql://b/x"


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_missing_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    folder = tmp_path / "secrets"
    if kind == "file":
        folder.write_text("x")
    monkeypatch.setenv("SIGNALS_SECRETS_DIR", str(folder))
    reason = "No such file or directory" if kind == "missing" else "Not a directory"
    with pytest.raises(SettingsError) as told:
        PostgresSettings.from_env()
    assert str(told.value) == (
        f"SIGNALS_SECRETS_DIR: cannot read {folder} ({reason}): "
        "set it to a folder that holds one file a variable, or leave it out"
    )


def test_missing_value_is_named_without_the_other_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"SIGNALS_DETECTORS": "s3cret-in-the-wrong-file"}
    monkeypatch.setenv("SIGNALS_SECRETS_DIR", str(mount(tmp_path, files)))
    with pytest.raises(SettingsError, match=r"DATABASE_URL: Field required$"):
        PostgresSettings.from_env()
    with pytest.raises(SettingsError, match="SIGNALS_DETECTORS") as told:
        ConsumerSettings.from_env()
    assert "s3cret" not in str(told.value)
