"""Writes the locks again: hashes, every platform, no addresses. Run by `make lock`.

Every package moves to its newest version; with `--keep` those that are locked stay.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
COMPILE = (
    *(str(Path(sys.executable).parent / "uv"), "pip", "compile", "--quiet", "--universal"),
    *(() if "--keep" in sys.argv else ("--upgrade",)),
    *("--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-header"),
)


def compile_lock(name: str, *arguments: str) -> None:
    """Resolve into requirements/`name`."""
    subprocess.run([*COMPILE, *arguments, "--output-file", str(HERE / name)], check=True, cwd=HERE.parent)


if __name__ == "__main__":
    compile_lock("bootstrap.lock", "requirements/bootstrap.in")
    compile_lock("clients.lock", "requirements/clients.in")
    compile_lock("provider.lock", "requirements/provider.in")
    compile_lock("app.lock", "pyproject.toml", "--extra", "app", "--extra", "operator")
    compile_lock(
        "dev.lock",
        *("pyproject.toml", "--extra", "local", "--extra", "operator", "--group", "dev", "--group", "docs"),
        *("-c", "requirements/app.lock"),
    )
