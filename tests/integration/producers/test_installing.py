"""Contents of an installation from the wheel: the contract alone, or the producers, never Ray."""

import subprocess
import sys
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).parents[3]
_FIND = "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if u.find_spec(n)])"
_SERVER_LIBRARIES = ["ray", "starlette", "confluent_kafka", "psycopg", "opensearchpy", "openai", "kopf"]


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, *arguments], check=True, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from the working tree."""
    folder = tmp_path_factory.mktemp("wheel")
    _uv(
        "build",
        "--wheel",
        "--no-build-isolation",
        f"--python={sys.executable}",
        f"--out-dir={folder}",
        str(_REPOSITORY),
    )
    return next(folder.glob("*.whl"))


def _install(requirement: str, folder: Path) -> Path:
    """Install into a fresh environment, in the locked versions, and return its programs' folder."""
    _uv("venv", f"--python={sys.executable}", str(folder))
    lock = _REPOSITORY / "requirements" / "dev.lock"
    programs = folder / "bin"
    _uv("pip", "install", f"--python={programs / 'python'}", f"--constraint={lock}", requirement)
    return programs


def _output(*command: str | Path, cwd: Path) -> str:
    finished = subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd, timeout=60)
    return finished.stdout


def test_the_contract_installs_alone(wheel: Path, tmp_path: Path) -> None:
    programs = _install(str(wheel), tmp_path / "base")
    python = programs / "python"
    unwanted = [*_SERVER_LIBRARIES, "aiohttp", "typer"]
    assert _output(python, "-c", _FIND, *unwanted, cwd=tmp_path).split() == []
    program = "import shared_types; print(shared_types.json_schema()['title'])"
    assert _output(python, "-c", program, cwd=tmp_path).strip() == "Envelope"


def test_the_producers_install_and_run_without_ray(wheel: Path, tmp_path: Path) -> None:
    programs = _install(f"{wheel}[producers]", tmp_path / "producers")
    assert _output(programs / "python", "-c", _FIND, *_SERVER_LIBRARIES, cwd=tmp_path).split() == []
    assert "spike_errors" in _output(programs / "signals-loadgen", "--help", cwd=tmp_path)
    assert "--rebase" in _output(programs / "signals-replay", "--help", cwd=tmp_path)
