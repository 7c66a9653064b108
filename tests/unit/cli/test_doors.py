"""The lines that `signals doors` prints hold the key and the address where clients look for them."""

import pytest

from signals.domain.access.api_keys import key_text
from signals.domain.access.scopes import Scope
from signals.domain.events.from_sentry import key_of_dsn
from signals.errors import SettingsError
from signals.services.events.door_lines import DASH, SNIPPET, lines
from tests.unit.docs.markdown import ROOT

KEY = key_text(Scope.INGEST, b"\x00" * 32)
PUBLIC = key_text(Scope.PUBLIC, b"\xfb" * 32)
DASHED = key_text(Scope.INGEST, b"\xfb" * 32)


def test_dsn_holds_key_host_and_path() -> None:
    dsn = lines(KEY, "https://signals.example/").splitlines()[1].strip()
    assert dsn == f"https://{KEY}@signals.example/v1/events/sentry/1"
    assert key_of_dsn(dsn) == KEY


def test_key_that_javascript_refuses_is_pointed_out() -> None:
    assert DASH in lines(DASHED, "http://localhost:8000")
    assert DASH not in lines(KEY, "http://localhost:8000")


def test_public_key_gets_the_lines_of_pages() -> None:
    text = lines(PUBLIC, "https://signals.example")
    assert f"https://{PUBLIC}@signals.example/v1/events/sentry/1" in text
    assert f"https://signals.example/v1/events/batch?key={PUBLIC}" in text
    assert "deploys" not in text


def test_page_about_pages_holds_the_script() -> None:
    assert SNIPPET in (ROOT / "docs/how-to/send-from-pages.md").read_text()


@pytest.mark.parametrize(
    ("key", "url"), [(key_text(Scope.READ, b"\x00" * 32), "http://h"), ("x", "http://h"), (KEY, "h:8000")]
)
def test_wrong_key_or_address_is_refused(key: str, url: str) -> None:
    with pytest.raises(SettingsError):
        lines(key, url)
