"""How a group of settings is read: from the environment, else from secret files."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from signals.errors import SettingsError
from signals.secret_files import VARIABLE, read_secret_files

RENAMED: Final[Mapping[str, str]] = {}
"""Variables of earlier releases by their names of today: a rename is entered here."""
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class EnvironmentSettings(BaseSettings):
    """Reads variables named like the upper-cased field, then files of that name; empty counts as unset."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    @classmethod
    def from_env(cls) -> Self:
        """Read the environment now.

        Raises:
            SettingsError: naming every variable at fault, or today's name of one that was renamed.
        """
        _refuse_renamed()
        try:
            return cls()
        except ValidationError as error:
            prefix = cls.model_config.get("env_prefix", "")
            faults = "; ".join(
                f"{(prefix + str(fault['loc'][0])).upper()}: {fault['msg']}" for fault in error.errors()
            )
            raise SettingsError(f"check the environment: {faults}") from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # pydantic-settings' signature
        file_secret_settings: PydanticBaseSettingsSource,  # it only warns of a bad folder
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the files in the folder that `SIGNALS_SECRETS_DIR` names."""
        folder = os.environ.get("SIGNALS_SECRETS_DIR")
        if not folder:
            return init_settings, env_settings
        files, prefix = read_secret_files(Path(folder)), cls.model_config.get("env_prefix", "")
        found = {name: files.get(f"{prefix}{name}".upper()) for name in settings_cls.model_fields}
        given = {name: text for name, text in found.items() if text}
        return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=given)


def _refuse_renamed() -> None:
    """A value under an old name would silently not count; it may stay beside one under the new name."""
    folder = os.environ.get(VARIABLE)
    given = {*os.environ, *(read_secret_files(Path(folder)) if folder and RENAMED else ())}
    faults = [f"{old} is now {new}" for old, new in RENAMED.items() if old in given and new not in given]
    if faults:
        raise SettingsError(f"rename what you set: {'; '.join(faults)}")
