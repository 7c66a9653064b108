"""Passwords: set by link or operator, changed by their owners, and bounded against guessing."""

import threading
import time
from collections import Counter
from statistics import median
from typing import Final

import pytest
from psycopg_pool import ConnectionPool
from starlette.testclient import TestClient

from serve_apps.console.cookies import KNOWN_NAME
from signals.clients.postgres import Connection
from signals.domain.access.passwords import FAILURES
from signals.domain.access.people import Role
from signals.services.access.hashing import PLACES, HashingBusy, PasswordHashing
from signals.services.access.passwords import Passwords
from signals.services.access.people import add_person, issue_link, remove_person
from signals.services.access.provisioning import ProvisioningRefused
from tests.integration.console.conftest import ADDRESS, BASE, SAME_ORIGIN, Visitor
from tests.support.console_world import SHOP
from tests.support.waiting import until

Pool = ConnectionPool[Connection]
SIGN_IN: Final = "/console/sign-in"
BY_PASSWORD: Final = f"{SIGN_IN}/password"
ACCOUNT: Final = "/console/account"
EMAIL: Final = "ann@example.com"
RIGHT: Final = "correct horse battery"
OTHER_ONE: Final = "staple of another horse"


@pytest.fixture
def ann(stranger: TestClient, pool: Pool) -> str:
    """A responder with a password, who has not signed in."""
    add_person(pool, EMAIL, org_id=SHOP.org_id, role=Role.RESPONDER, actor="cli:test")
    Passwords(pool).set_for(EMAIL, RIGHT, actor="cli:test")
    return EMAIL


def browser(stranger: TestClient) -> TestClient:
    """Return one more browser."""
    client = TestClient(stranger.app, base_url=ADDRESS, follow_redirects=False)
    client.headers.update(SAME_ORIGIN)
    return client


def attempt(client: TestClient, email: str, password: str, **fields: str) -> tuple[int, str]:
    """Sign in; return the status and the page."""
    form = {"email": email, "password": password} | fields
    answer = client.post(BY_PASSWORD, data=form, headers=SAME_ORIGIN)
    return answer.status_code, answer.text


def change(client: TestClient, new: str, current: str = "") -> tuple[int, str]:
    """Set the password on the account's page."""
    form = {"new": new, "again": new, "current": current}
    answer = client.post(f"{ACCOUNT}/set-password", data=form)
    return answer.status_code, answer.text


def verbs(pool: Pool) -> list[str]:
    with pool.connection() as connection:
        return [verb for (verb,) in connection.execute("SELECT verb FROM people.audit ORDER BY id")]


def test_password_signs_in_and_leads_on(stranger: TestClient, ann: str) -> None:
    form = {"email": "ANN@example.com", "password": f" {RIGHT} ", "next": f"{BASE}/rules"}
    answer = stranger.post(BY_PASSWORD, data=form, headers=SAME_ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{BASE}/rules")
    assert all("httponly" in cookie.lower() for cookie in answer.headers.get_list("set-cookie"))
    assert stranger.get(BASE + "/").status_code == 200


def test_wrong_unknown_and_missing_passwords_get_one_answer(
    stranger: TestClient, pool: Pool, ann: str
) -> None:
    add_person(pool, "bob@example.com", org_id=SHOP.org_id, role=Role.VIEWER, actor="cli:test")
    tried = [(EMAIL, "wrong " * 4), ("nobody@example.com", RIGHT), ("bob@example.com", RIGHT)]
    answers = [attempt(browser(stranger), email, password) for email, password in tried]
    assert [status for status, _ in answers] == [400, 400, 400]
    pages = {page.replace(email, "") for (email, _), (_, page) in zip(tried, answers, strict=True)}
    assert len(pages) == 1
    assert "wrong" in pages.pop()
    for odd in ("", "no address", "a\x00b@c", "x" * 3000 + "@y"):
        assert attempt(browser(stranger), odd, RIGHT)[0] in (400, 429)


def test_unknown_address_costs_as_much_as_a_wrong_password(pool: Pool, ann: str) -> None:
    """CPU of the whole process, so that a busy machine changes nothing; both are one hash."""
    hashing = PasswordHashing()
    stored = hashing.hashed(RIGHT)
    assert not hashing.matches(None, RIGHT)  # makes what an unknown address is compared with

    def cost(hashed: str | None) -> float:
        start = time.process_time()
        assert not hashing.matches(hashed, OTHER_ONE)
        return time.process_time() - start

    unknown, wrong = (median(cost(one) for _ in range(9)) for one in (None, stored))
    assert 0.5 < unknown / wrong < 2


def test_database_holds_no_password(pool: Pool, ann: str) -> None:
    with pool.connection() as connection:
        ((hashed,),) = connection.execute("SELECT hash FROM people.passwords").fetchall()
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert RIGHT not in hashed


def test_link_sets_a_password_without_the_one_before(stranger: TestClient, pool: Pool, ann: str) -> None:
    stranger.headers.update(SAME_ORIGIN)
    stranger.post(SIGN_IN, data={"link": issue_link(pool, ann)})
    assert "password until now" not in stranger.get(ACCOUNT).text
    assert change(stranger, OTHER_ONE)[0] == 303
    assert stranger.get(BASE + "/").status_code == 200  # by the new session
    assert attempt(browser(stranger), ann, RIGHT)[0] == 400
    assert attempt(browser(stranger), ann, OTHER_ONE)[0] == 303
    assert verbs(pool)[-1] == "password set"


def test_old_session_of_a_link_sets_none(visitor: Visitor, pool: Pool) -> None:
    person = visitor(Role.VIEWER)
    with pool.connection() as connection:
        connection.execute("UPDATE people.sessions SET created_at = now() - interval '15 minutes'")
    assert "ask an admin" in person.get(ACCOUNT).text
    status, page = change(person, RIGHT)
    assert status == 422
    assert "new link" in page
    with pool.connection() as connection:
        assert connection.execute("SELECT count(*) FROM people.passwords").fetchone() == (0,)


def test_change_asks_for_the_password_and_signs_out_everywhere(
    stranger: TestClient, pool: Pool, ann: str
) -> None:
    here, there = browser(stranger), browser(stranger)
    for client in (here, there):
        assert attempt(client, ann, RIGHT)[0] == 303
    waiting = issue_link(pool, ann)
    for current in ("", OTHER_ONE):
        status, page = change(here, OTHER_ONE, current)
        assert status == 422
        assert "password until now" in page
    before = here.cookies["signals"]
    assert change(here, OTHER_ONE, RIGHT)[0] == 303
    assert here.cookies["signals"] != before
    assert here.get(BASE + "/").status_code == 200
    assert there.get(BASE + "/").headers["location"].startswith(SIGN_IN)
    assert stranger.post(SIGN_IN, data={"link": waiting}, headers=SAME_ORIGIN).status_code == 400
    assert attempt(browser(stranger), ann, RIGHT)[0] == 400


def test_weak_or_mistyped_password_changes_nothing(visitor: Visitor, pool: Pool) -> None:
    person = visitor(Role.VIEWER)
    assert "12 to 200" in change(person, "too short")[1]
    answer = person.post(f"{ACCOUNT}/set-password", data={"new": RIGHT, "again": OTHER_ONE})
    assert "differ" in answer.text
    with pool.connection() as connection:
        assert connection.execute("SELECT count(*) FROM people.passwords").fetchone() == (0,)


def test_guesses_at_a_session_are_limited(stranger: TestClient, ann: str) -> None:
    client = browser(stranger)
    attempt(client, ann, RIGHT)
    pages = [change(client, OTHER_ONE, f"guess number {n}")[1] for n in range(int(FAILURES.burst) + 1)]
    assert "too many" in pages[-1].lower()
    assert "too many" in change(client, OTHER_ONE, RIGHT)[1].lower()


def test_flood_is_limited_and_locks_neither_known_browser_nor_link_out(
    stranger: TestClient, pool: Pool, ann: str
) -> None:
    known = browser(stranger)
    assert attempt(known, ann, RIGHT)[0] == 303
    attacker = browser(stranger)
    codes = [attempt(attacker, ann, f"guess number {n}")[0] for n in range(int(FAILURES.burst) + 2)]
    assert (codes[0], codes[-1]) == (400, 429)
    assert attempt(attacker, ann, RIGHT)[0] == 429  # a right guess in the flood is not answered
    known.cookies.delete("signals")
    assert attempt(known, ann, RIGHT)[0] == 303
    link = issue_link(pool, ann)
    assert attacker.post(SIGN_IN, data={"link": link}).status_code == 303


def test_flood_from_many_addresses_is_limited_by_account(pool: Pool, ann: str, stranger: TestClient) -> None:
    def at(number: int) -> TestClient:
        return TestClient(
            stranger.app, base_url=ADDRESS, follow_redirects=False, client=(f"192.0.2.{number}", 1)
        )

    for email in (ann, "nobody@example.com"):  # an unknown account is limited alike, and so tells nothing
        codes = [attempt(at(n), email, f"guess number {n}")[0] for n in range(int(FAILURES.burst) + 1)]
        assert (codes[0], codes[-1]) == (400, 429), email


def test_known_browser_helps_its_own_account_alone(stranger: TestClient, pool: Pool, ann: str) -> None:
    add_person(pool, "eve@example.com", org_id=SHOP.org_id, role=Role.VIEWER, actor="cli:test")
    Passwords(pool).set_for("eve@example.com", OTHER_ONE, actor="cli:test")
    eve = browser(stranger)
    assert attempt(eve, "eve@example.com", OTHER_ONE)[0] == 303
    codes = [attempt(eve, ann, f"guess number {n}")[0] for n in range(int(FAILURES.burst) + 1)]
    assert codes[-1] == 429
    planted = browser(stranger)
    planted.cookies.set(KNOWN_NAME, "A" * 43)
    Passwords(pool).set_for("eve@example.com", RIGHT, actor="cli:test")  # forgets every browser
    assert attempt(eve, "eve@example.com", OTHER_ONE)[0] == 429  # its address has failed too often


def test_hashes_have_few_places_and_no_more_than_two_run() -> None:
    def ours() -> set[int | None]:
        return {thread.ident for thread in threading.enumerate() if thread.name.startswith("hashing")}

    before, hashing = ours(), PasswordHashing()
    outcomes: list[bool | str] = []
    hashed = hashing.hashed(RIGHT)
    gate = threading.Barrier(4 * PLACES)

    def guess() -> None:
        gate.wait()
        try:
            outcomes.append(hashing.matches(hashed, OTHER_ONE))
        except HashingBusy:
            outcomes.append("busy")

    threads = [threading.Thread(target=guess) for _ in range(4 * PLACES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("busy") > 0
    assert outcomes.count(False) >= PLACES
    assert len(ours() - before) <= 2
    assert hashing.matches(hashed, RIGHT)  # places are free again


def test_flood_leaves_threads_to_readers(
    stranger: TestClient, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many guesses at once a few wait for a hash and the others are sent away; pages are answered."""
    pages: list[tuple[int, str]] = []
    may_end = threading.Event()

    def hash_slowly(*_: object) -> bool:
        return not may_end.wait(120)

    def guess(number: int) -> None:
        client = TestClient(stranger.app, base_url=ADDRESS, client=(f"198.51.100.{number}", 1))
        pages.append(attempt(client, f"user{number}@example.com", OTHER_ONE))

    monkeypatch.setattr(PasswordHashing, "_verified", hash_slowly)
    threads = [threading.Thread(target=guess, args=[number]) for number in range(30)]
    for thread in threads:
        thread.start()
    until(lambda: len(pages) == len(threads) - PLACES)
    assert [stranger.get(SIGN_IN).status_code for _ in range(5)] == [200] * 5
    may_end.set()
    for thread in threads:
        thread.join()
    assert Counter(status for status, _ in pages) == {400: PLACES, 429: len(threads) - PLACES}
    assert all("Other people are signing in" in page for status, page in pages if status == 429)


def test_removed_person_has_no_way_in(stranger: TestClient, pool: Pool, ann: str) -> None:
    remove_person(pool, ann, actor="cli:test")
    assert attempt(browser(stranger), ann, RIGHT)[0] == 400


def test_operator_sets_and_removes_a_password(stranger: TestClient, pool: Pool, ann: str) -> None:
    client = browser(stranger)
    attempt(client, ann, RIGHT)
    passwords = Passwords(pool)
    passwords.set_for(ann, OTHER_ONE, actor="cli:test")
    assert client.get(BASE + "/").status_code == 303
    assert attempt(browser(stranger), ann, OTHER_ONE)[0] == 303
    assert passwords.remove_for(ann, actor="cli:test")
    assert not passwords.remove_for(ann, actor="cli:test")
    assert attempt(browser(stranger), ann, OTHER_ONE)[0] == 400
    assert verbs(pool)[-2:] == ["password set", "password removed"]
    with pytest.raises(ProvisioningRefused, match="there is no person"):
        passwords.set_for("nobody@example.com", RIGHT, actor="cli:test")


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}]
)
def test_form_of_another_site_signs_nobody_in(
    stranger: TestClient, ann: str, headers: dict[str, str]
) -> None:
    answer = stranger.post(BY_PASSWORD, data={"email": ann, "password": RIGHT}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
