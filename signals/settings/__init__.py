"""The only reader of environment variables and of the secret files that may stand in for them.

One frozen object per outside system or room. Names are those of requirements R30 and R33 to R35; ours begin
with `SIGNALS_`. A bad or missing value raises `SettingsError`, which names the variable. Secrets are hidden
in repr.
"""

from typing import Final

from signals.secret_files import VARIABLE
from signals.settings.base import LOOPBACK_HOSTS, RENAMED, EnvironmentSettings
from signals.settings.model import ModelSettings
from signals.settings.people import ConsoleSettings, NotificationSettings, PeopleSettings
from signals.settings.runtime import ConsumerSettings, LabelSettings, RetentionSettings, RuntimeSettings
from signals.settings.servers import KafkaSettings, OpenSearchSettings, PostgresSettings

__all__ = [
    "GROUPS",
    "LOOPBACK_HOSTS",
    "RENAMED",
    "ConsoleSettings",
    "ConsumerSettings",
    "EnvironmentSettings",
    "KafkaSettings",
    "LabelSettings",
    "ModelSettings",
    "NotificationSettings",
    "OpenSearchSettings",
    "PeopleSettings",
    "PostgresSettings",
    "RetentionSettings",
    "RuntimeSettings",
    "variables",
]

GROUPS: Final[tuple[type[EnvironmentSettings], ...]] = (
    PostgresSettings,
    KafkaSettings,
    OpenSearchSettings,
    ModelSettings,
    NotificationSettings,
    ConsoleSettings,
    PeopleSettings,
    RuntimeSettings,
    ConsumerSettings,
    LabelSettings,
    RetentionSettings,
)
"""All of them, in the order of the reference page."""


def variables() -> frozenset[str]:
    """Return the name of every variable that is a setting."""
    return frozenset({VARIABLE}) | frozenset(
        f"{group.model_config.get('env_prefix', '')}{name}".upper()
        for group in GROUPS
        for name in group.model_fields
    )
