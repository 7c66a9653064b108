"""Behind a proxy that re-signs TLS, the set-up trusts what the system trusts."""

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from requirements.system_trust import variables
from signals.local.errors import LocalStackError
from signals.local.progress import DownloadProgress
from signals.local.servers.artifacts import Artifact, ArtifactCache, Bundle
from tests.support.resigning_proxy import ResigningProxy, open_resigning_proxy

CONTENT = b"the jar's bytes" * 1000
ARTIFACT = Artifact(
    path="org/example/thing/1.0/thing-1.0.jar",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size_bytes=len(CONTENT),
    folder="lib",
)
BUNDLE = Bundle(name="thing", title="Thing", artifacts=(ARTIFACT,))
MIRROR = "maven.example.test"
OVERRIDES = (
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "UV_SYSTEM_CERTS",
    "NO_PROXY",
)
"""What would decide whom to trust, or whether to use the proxy, instead of what a test sets."""


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ResigningProxy]:
    for name in (*OVERRIDES, "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with open_resigning_proxy(tmp_path) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("https_proxy", proxy.url)
        yield proxy


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ArtifactCache]:
    with (tmp_path / "shown").open("w") as shown:
        progress = DownloadProgress(console=Console(file=shown, force_terminal=False))
        yield ArtifactCache(folder=tmp_path / "cache", mirror=f"https://{MIRROR}", progress=progress)


def test_servers_are_downloaded_when_the_system_trusts_the_proxy(
    proxy: ResigningProxy, cache: ArtifactCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.pages[f"{MIRROR}/{ARTIFACT.path}"] = CONTENT
    monkeypatch.setenv("SSL_CERT_FILE", str(proxy.ca_path))  # OpenSSL's name for the system's certificates
    assert (cache.home_of(BUNDLE) / "lib" / "thing-1.0.jar").read_bytes() == CONTENT
    assert f"{MIRROR}/{ARTIFACT.path}" in proxy.asked


def test_distrusted_proxy_is_named_as_the_cause(
    proxy: ResigningProxy, cache: ArtifactCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(
        LocalStackError, match=r"^cannot download .* is not trusted; add its CA to the system"
    ):
        cache.home_of(BUNDLE)
    assert proxy.asked == []


def test_first_pip_of_the_set_up_trusts_the_systems_certificates(
    proxy: ResigningProxy, tmp_path: Path, repository: Path
) -> None:
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    proxy.pages["pypi.example.test/simple/tiny/"] = f'<a href="/{wheel.name}">{wheel.name}</a>'.encode()
    proxy.pages[f"pypi.example.test/{wheel.name}"] = wheel.read_bytes()
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = str(tmp_path / "venv/bin/python")  # with the pip that Python brings, as the set-up has at first
    trusting = (python, str(repository / "requirements/system_trust.py"))
    install = (python, "-m", "pip", "install", "--no-cache-dir", "--retries=0", "tiny")
    environment = {
        "PATH": os.environ["PATH"],
        "HTTPS_PROXY": proxy.url,
        "SSL_CERT_FILE": str(proxy.ca_path),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "https://pypi.example.test/simple/",
    }
    installed = subprocess.run([*trusting, *install], env=environment, capture_output=True, text=True)
    assert installed.returncode == 0, installed.stdout + installed.stderr


def test_chosen_certificates_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    system = tmp_path / "system.pem"
    system.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(system))
    both = {"UV_SYSTEM_CERTS": "1", "PIP_CERT": str(system)}
    assert variables({}, "global.index-url='https://pypi.example.test'\n") == both
    assert variables({"PIP_CERT": "/own.pem"}, "") == {"UV_SYSTEM_CERTS": "1"}
    assert variables({"UV_SYSTEM_CERTS": "0"}, "global.cert='/own.pem'\n") == {}
