"""New code is imported in a process of its own before anything of it is deployed."""

from pathlib import Path

import pytest

from signals.local.errors import LocalStackError
from signals.local.import_check import require_imports
from tests.support.releases import Code, install, present_code, with_line


def require_imports_of(code: Code, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Try code that lies in a clone of its own."""
    install(code, folder / "clone")
    monkeypatch.setenv("PYTHONPATH", str(folder / "clone"))
    require_imports(folder)


def test_present_code_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_imports_of(present_code(), tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("name", "line", "cause"),
    [
        (
            "serve_apps/ingest/replica.py",
            "raise RuntimeError('this release is broken')",
            r"RuntimeError: this release is broken, serve_apps/ingest/replica\.py:\d+",
        ),
        ("actors/notifier.py", "import absent", r"ModuleNotFoundError: .*'absent', actors/notifier\.py:\d+"),
        ("signals/services/summary/toolbox.py", "if", r"SyntaxError: .*\(toolbox\.py, line \d+\).*"),
    ],
)
def test_error_and_its_place_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, line: str, cause: str
) -> None:
    with pytest.raises(
        LocalStackError, match=rf"^the new code cannot be imported \({cause}\), the former goes on: put "
    ):
        require_imports_of(with_line(name, line), tmp_path, monkeypatch)
