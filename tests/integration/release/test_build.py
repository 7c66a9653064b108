"""A release: the same sources give the same bytes, and the files hold what their users need."""

import hashlib
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from release.build import SUMS, build
from release.version import ROOT, source_version

VERSION = source_version()
SDIST, WHEEL, CHART = (
    f"customer_signals_copilot-{VERSION}.tar.gz",
    f"customer_signals_copilot-{VERSION}-py3-none-any.whl",
    f"signals-{VERSION}.tgz",
)
EPOCH_S = 1_767_225_600  # 2026-01-01


def _copy_sources(target: Path) -> Path:
    """Copy what git knows or would add; files get new times, and other modes than in the original."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    for name in sorted({name for name in listed.split("\0") if (ROOT / name).is_file()}):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target / name)
        (target / name).chmod(0o700 if (ROOT / name).stat().st_mode & 0o100 else 0o600)
    return target


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two builds from two copies of the source tree."""
    outs = []
    for name in ("one", "two"):
        folder = tmp_path_factory.mktemp(name)
        (folder / "dist").mkdir()
        build(_copy_sources(folder / "sources"), folder / "dist", epoch_s=EPOCH_S)
        outs.append(folder / "dist")
    return outs[0], outs[1]


def test_two_builds_have_the_same_bytes(builds: tuple[Path, Path]) -> None:
    one, two = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in builds)
    assert sorted(one) == sorted({SDIST, WHEEL, CHART, SUMS})
    assert [name for name in one if one[name] != two.get(name)] == []


def test_checksums_match_the_files(builds: tuple[Path, Path]) -> None:
    lines = (builds[0] / SUMS).read_text().splitlines()
    found = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert found == {
        name: hashlib.sha256((builds[0] / name).read_bytes()).hexdigest() for name in (SDIST, WHEEL, CHART)
    }


def test_wheel_holds_the_products_data_files(builds: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(builds[0] / WHEEL) as wheel:
        names = set(wheel.namelist())
    in_sources = [
        *("serve_apps/config.yaml", "shared_types/py.typed"),
        *(str(path.relative_to(ROOT)) for path in (ROOT / "signals").rglob("*.lock")),
        *(str(path.relative_to(ROOT)) for path in (ROOT / "signals/migrations").glob("*.sql")),
        *(str(path.relative_to(ROOT)) for path in (ROOT / "shared_types").rglob("*.json")),
    ]
    recorded = [f"producers/recorded/{path.name}" for path in (ROOT / "fixtures/scenarios").iterdir()]
    assert len(recorded) == 3
    assert [name for name in (*in_sources, *recorded) if name not in names] == []
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "release/"))]


def test_sdist_builds_and_tests_like_a_clone(builds: tuple[Path, Path]) -> None:
    with tarfile.open(builds[0] / SDIST) as sdist:
        names = {member.name.partition("/")[2] for member in sdist.getmembers()}
    wanted = {"Makefile", "LICENSE", "requirements/dev.lock", "tests/conftest.py", "helm/signals/Chart.yaml"}
    assert wanted <= names


def test_chart_holds_its_files_and_no_examples(builds: tuple[Path, Path]) -> None:
    with tarfile.open(builds[0] / CHART) as chart:
        names = chart.getnames()
        stated = yaml.safe_load(chart.extractfile("signals/Chart.yaml") or b"")
    assert names[0] == "signals/Chart.yaml"
    templates = {
        f"signals/templates/{path.name}" for path in (ROOT / "helm/signals/templates").glob("*.yaml")
    }
    assert templates | {"signals/values.yaml", "signals/values.schema.json"} < set(names)
    assert [name for name in names if "/examples/" in name or "/." in name] == []
    assert stated["version"] == stated["appVersion"] == VERSION
