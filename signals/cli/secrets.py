"""`signals secrets`: the keys that seal secrets of destinations."""

import typer

from signals.cli.core_client import load_environment
from signals.clients.postgres import open_pool
from signals.clients.sealing import new_key as random_key
from signals.clients.sealing import open_seal
from signals.services.notifications.sealed_targets import rotate_secrets
from signals.settings import NotificationSettings, PostgresSettings

app = typer.Typer(help="Keys that seal the secrets of destinations.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="secrets")


@app.command("new-key")
def new_key() -> None:
    """Print a new random key for SIGNALS_SECRET_KEYS."""
    print(random_key())


@app.command()
def rekey() -> None:
    """Seal every stored secret with the first key of SIGNALS_SECRET_KEYS; old keys may then be removed."""
    load_environment()
    seal = open_seal(NotificationSettings.from_env())
    with open_pool(PostgresSettings.from_env(), size=1) as pool:
        count = rotate_secrets(pool, seal)
    print(f"Sealed {count} secret{'' if count == 1 else 's'} with the first key.")
