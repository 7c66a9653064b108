"""Sign-in at a real OpenID Connect provider, which the tests start, and answers that prove nothing."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

import httpx2
import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from signals.clients.opensearch.connection import Client
from signals.clients.postgres import Connection
from signals.domain.access.people import Role
from signals.local.processes.ports import free_port
from signals.services.access.people import add_person, issue_link, remove_person
from signals.settings import PeopleSettings
from tests.support.console_world import SHOP, build_world, console_app
from tests.system.console.provider_process import open_provider

Pool = ConnectionPool[Connection]
OURS: Final = "http://127.0.0.1:9999"
START: Final = "/console/sign-in/provider"
CALLBACK: Final = f"{OURS}{START}/callback"
ANN: Final = "ann@example.com"
SECRET: Final = "a-secret-of-tests"

Console = Callable[..., TestClient]


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """The address of a provider that knows Ann, Eve and two clients."""
    with open_provider(CALLBACK) as address:
        yield address


@pytest.fixture
def console(pool: Pool, opensearch: Client, issuer: str) -> Iterator[Console]:
    """Opens a browser at a console with this provider and further settings."""
    build_world(pool)
    with _consoles(pool, opensearch, issuer) as open_browser:
        yield open_browser


@contextmanager
def _consoles(pool: Pool, opensearch: Client, issuer: str) -> Iterator[Console]:
    opened = []

    def open_browser(**settings: Any) -> TestClient:
        usual = {
            "signals_oidc_issuer": issuer,
            "signals_oidc_client_id": "signals",
            "signals_oidc_client_secret": SECRET,
            "signals_oidc_trust_addresses": True,
        }
        app = console_app(pool, opensearch, PeopleSettings.model_validate(usual | settings))
        opened.append(app)
        return TestClient(app.__enter__(), base_url=OURS, follow_redirects=False)

    yield open_browser
    for app in opened:
        app.__exit__(None, None, None)


def sent_to(browser: TestClient, onward: str = "") -> str:
    """Begin to sign in; return where the console sends the browser."""
    answer = browser.get(START, params={"next": onward} if onward else {})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def back_from(address: str, name: str = "ann") -> str:
    """Sign in at the provider's pages; return where it sends the browser, without our host."""
    with httpx2.Client(timeout=60) as client:
        answer = client.get(address)
        while not (target := answer.headers.get("location", "")).startswith(CALLBACK):
            if answer.is_redirect:
                answer = client.get(answer.request.url.join(target))
            elif "password" in re.findall(r'<input[^>]*name="(\w+)"', answer.text):
                answer = client.post(answer.request.url, data={"password": f"{name}-password"})
            else:
                assert 'name="login"' in answer.text, answer.text
                answer = client.post(answer.request.url, data={"login": name})
    return target.removeprefix(OURS)


def changed(address: str, **values: str) -> str:
    """Replace parameters of an address; an empty value removes one."""
    parts = urlsplit(address)
    query = {name: found[0] for name, found in parse_qs(parts.query).items()} | values
    return urlunsplit(parts._replace(query=str(httpx2.QueryParams({k: v for k, v in query.items() if v}))))


def refused(browser: TestClient, address: str, why: str, status: int = 400) -> None:
    """Check that an answer of the provider makes no session, and that a readable page says why."""
    answer = browser.get(address)
    assert (answer.status_code, answer.headers["content-type"][:9]) == (status, "text/html"), answer.text
    assert why in answer.text
    assert 'role="alert"' in answer.text
    assert "signals" not in browser.cookies
    assert browser.get("/console/").headers["location"].startswith("/console/sign-in")


def known(pool: Pool, email: str = ANN, role: Role = Role.RESPONDER) -> None:
    add_person(pool, email, org_id=SHOP.org_id, role=role, actor="cli:test")


def test_known_person_signs_in_and_goes_on(console: Console, pool: Pool) -> None:
    known(pool)
    browser = console(signals_oidc_name="Acme")
    page = browser.get("/console/sign-in").text
    assert "Sign in with Acme" in page
    assert 'type="password"' not in page  # where a provider exists there are no passwords
    away = sent_to(browser, f"/console/p/{SHOP.project_id}/rules")
    query = parse_qs(urlsplit(away).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == [CALLBACK]
    assert query["scope"] == ["openid email profile"]
    answer = browser.get(back_from(away))
    assert (answer.status_code, answer.headers["location"]) == (303, f"/console/p/{SHOP.project_id}/rules")
    assert browser.get(answer.headers["location"]).status_code == 200
    assert "signals-flow" not in browser.cookies
    with pool.connection() as connection:
        linked = connection.execute(
            "SELECT verb, actor FROM people.audit WHERE actor = 'provider'"
        ).fetchall()
    assert linked == [("provider account linked", "provider")]


def test_person_stays_the_same_when_the_address_changes_here(console: Console, pool: Pool) -> None:
    known(pool)
    browser = console()
    assert browser.get(back_from(sent_to(browser))).status_code == 303
    with pool.connection() as connection:
        connection.execute("UPDATE people.users SET email = 'lee@example.com'")
    browser = console()
    assert browser.get(back_from(sent_to(browser))).status_code == 303
    assert "lee@example.com" in browser.get("/console/account").text


def test_code_that_was_used_signs_nobody_in(console: Console, pool: Pool) -> None:
    known(pool)
    first = console()
    away = sent_to(first)
    kept = dict(first.cookies)
    back = back_from(away)
    assert first.get(back).status_code == 303
    first.cookies.clear()
    refused(first, back, "not of a sign-in that began here")
    first.cookies.update(kept)  # a copy of what the browser kept
    refused(first, back, "did not accept the code")


def test_answer_to_another_browser_signs_nobody_in(console: Console, pool: Pool) -> None:
    known(pool)
    victim, attacker = console(), console()
    back = back_from(sent_to(attacker))
    refused(victim, back, "not of a sign-in that began here")
    sent_to(victim)
    refused(victim, back, "not of a sign-in that began here")


@pytest.mark.parametrize("state", ["", "x" * 43, "ü"])
def test_wrong_state_signs_nobody_in(console: Console, pool: Pool, state: str) -> None:
    known(pool)
    browser = console()
    refused(browser, changed(back_from(sent_to(browser)), state=state), "not of a sign-in that began here")


def test_wrong_nonce_signs_nobody_in(console: Console, pool: Pool) -> None:
    known(pool)
    browser = console()
    refused(browser, back_from(changed(sent_to(browser), nonce="n" * 43)), "does not hold (nonce)")


def test_wrong_verifier_signs_nobody_in(console: Console, pool: Pool) -> None:
    known(pool)
    browser = console()
    refused(browser, back_from(changed(sent_to(browser), code_challenge="c" * 43)), "did not accept the code")


def test_token_for_another_client_signs_nobody_in(console: Console, pool: Pool) -> None:
    known(pool)
    browser = console(signals_oidc_client_id="astray")
    refused(browser, back_from(sent_to(browser)), "does not hold (aud)")


def test_wrong_secret_signs_nobody_in(console: Console, pool: Pool) -> None:
    known(pool)
    browser = console(signals_oidc_client_secret="another")
    refused(browser, back_from(sent_to(browser)), "did not accept the code")


def test_other_issuer_is_refused_before_and_after(console: Console, pool: Pool, issuer: str) -> None:
    known(pool)
    astray = console(signals_oidc_issuer=f"{issuer}/")
    refused(astray, START, "another issuer", 503)
    browser = console()
    refused(browser, changed(back_from(sent_to(browser)), iss="http://other.example"), "another provider")


def test_person_who_says_no_is_not_signed_in(console: Console) -> None:
    browser = console()
    state = parse_qs(urlsplit(sent_to(browser)).query)["state"][0]
    refused(browser, f"{START}/callback?error=access_denied&state={state}", "did not sign you in")


def test_unknown_person_is_refused_by_default(console: Console, pool: Pool) -> None:
    browser = console()
    refused(browser, back_from(sent_to(browser)), "No admin has added ann@example.com", 403)
    with pool.connection() as connection:
        assert connection.execute("SELECT count(*) FROM people.users").fetchone() == (0,)


def test_newcomer_gets_the_role_of_the_settings(console: Console, pool: Pool) -> None:
    settings = {
        "signals_oidc_newcomer_role": "viewer",
        "signals_oidc_newcomer_org": SHOP.org_id,
        "signals_oidc_domains": "example.com",
    }
    browser = console(**settings)
    assert browser.get(back_from(sent_to(browser))).status_code == 303
    assert "where you are viewer" in browser.get(f"/console/p/{SHOP.project_id}/settings").text
    stranger = console(**settings)
    refused(stranger, back_from(sent_to(stranger), "eve"), "elsewhere.example may not sign in", 403)
    remove_person(pool, ANN, actor="cli:test")
    again = console(**settings)
    refused(again, back_from(sent_to(again)), "You were removed", 403)


def test_address_that_nobody_verified_is_refused(console: Console, pool: Pool) -> None:
    known(pool)
    browser = console(signals_oidc_trust_addresses=False)
    refused(browser, back_from(sent_to(browser)), "has not verified the address", 403)


def test_links_and_chosen_passwords_go_on_beside_the_provider(console: Console, pool: Pool) -> None:
    known(pool)
    browser = console()
    headers = {"Sec-Fetch-Site": "same-origin"}
    form = {"email": ANN, "password": "correct horse battery"}
    assert browser.post("/console/sign-in/password", data=form, headers=headers).status_code == 404
    link = issue_link(pool, ANN)
    assert browser.post("/console/sign-in", data={"link": link}, headers=headers).status_code == 303
    both = console(signals_passwords=True)
    assert 'type="password"' in both.get("/console/sign-in").text


def test_provider_that_is_away_is_said(console: Console) -> None:
    browser = console(signals_oidc_issuer=f"http://localhost:{free_port()}")
    answer = browser.get(START)
    assert answer.status_code == 503
    assert "sign-in provider does not answer" in answer.text
