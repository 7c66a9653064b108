"""The file of Serve's configuration, with the console where `SIGNALS_CONSOLE` wants it.

The image runs this module before it deploys: `python -m signals.ray_node.serve_file FILE`.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from signals.serve_applications import with_console
from signals.settings import ConsoleSettings


def read_serve_file(path: Path) -> dict[str, Any]:
    """Return the configuration that is to be deployed.

    Raises:
        SettingsError: naming the variable at fault.
    """
    return with_console(yaml.safe_load(path.read_text()), ConsoleSettings.from_env().signals_console)


if __name__ == "__main__":
    sys.stdout.write(yaml.safe_dump(read_serve_file(Path(sys.argv[1])), sort_keys=False))
