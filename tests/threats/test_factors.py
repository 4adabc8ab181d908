"""Signing in with more than a password, against two workers: every step, and everything that must not work."""

from __future__ import annotations

import re
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.gateway import COOKIE, PASSWORD, PEOPLE, Gateway
from tests.support.mail import Mailbox, links_in
from tests.support.owner import enrol_owner, owner_before_link, path_of
from tests.support.person import Person, code_of, key_on, wrong_code
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream

ATTEMPT = "__Host-otium_attempt"


def audited(gateway: Gateway) -> list[str]:
    path = gateway.store_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        return [row[0] for row in connection.execute("SELECT event FROM audit ORDER BY id")]


def change(gateway: Gateway, statement: str) -> None:
    """Change the store by hand, and let every worker know, which another program could not."""
    with sqlite3.connect(gateway.store_url.removeprefix("sqlite:///")) as connection:
        connection.execute(statement)
    assert gateway.cli("account", "unlock", "--email", "adam@acme.example", "--confirm").returncode == 0


def test_a_member_sets_totp_up_and_is_asked_for_it_from_then_on(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own)
    person.sign_in()
    assert person.is_signed_in
    key, codes = person.enrol()
    assert len(set(codes)) == 8
    assert person.is_signed_in
    mailbox.wait_for(person.email, "turned on")
    again = Person(own, source="127.0.0.3")
    page = again.give_password("/deep?x=1")
    assert "Enter your code" in page.body.decode()
    assert not again.is_signed_in
    done = again.submit("/login/totp", follow=False, code=code_of(own, again.email, key))
    assert (done.status, done.get("location")) == (303, "/deep?x=1")
    assert again.is_signed_in
    assert ATTEMPT not in again.cookies
    assert "2fa_enabled" in audited(own)


def test_a_session_without_totp_is_asked_for_it_once_the_account_has_it(own: Gateway) -> None:
    first, second = Person(own), Person(own, source="127.0.0.3")
    first.sign_in()
    second.sign_in()
    key, _ = first.enrol()
    asked = second.open("/probe?x", follow=False)
    assert (asked.status, asked.get("location")) == (303, "/login/totp?next=/probe%3Fx&again=1")
    assert not second.is_signed_in
    old = second.cookies[COOKIE]
    second.open("/probe?x")
    done = second.submit("/login/totp", follow=False, code=code_of(own, second.email, key))
    assert (done.status, done.get("location")) == (303, "/probe?x")
    assert second.is_signed_in
    assert own.exchange(get("/probe", f"Cookie: {COOKIE}={old}")).status == 401


def test_each_backup_code_signs_in_once_and_a_mail_says_so(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own)
    person.sign_in()
    _, codes = person.enrol()
    other = Person(own, source="127.0.0.3")
    other.give_password()
    other.open("/login/backup?next=/probe")
    other.submit("/login/backup", code=codes[0].lower().replace("-", " "))
    assert other.is_signed_in
    mailbox.wait_for(person.email, "backup code", said="7")
    third = Person(own, source="127.0.0.4")
    third.give_password()
    third.open("/login/backup?next=/probe")
    refused = third.submit("/login/backup", code=codes[0])
    assert refused.status == 422
    assert "already been used" in refused.body.decode()
    assert not third.is_signed_in


def test_an_owner_without_totp_proves_password_and_mail_before_setting_it_up(own: Gateway, mailbox: Mailbox) -> None:
    owner, _, codes = enrol_owner(own, mailbox)
    assert len(codes) == 8
    assert owner.open("/platform").status == 200
    assert "3fa" in own.cli("audit", "list").stdout


def test_an_owner_signs_in_with_three_factors(own: Gateway, mailbox: Mailbox) -> None:
    _, key, _ = enrol_owner(own, mailbox)
    owner = Person(own, "owner", source="127.0.0.3")
    owner.give_password("/platform?deep")
    assert not owner.is_signed_in
    owner.submit("/login/totp", code=code_of(own, owner.email, key))
    assert not owner.is_signed_in
    link = path_of(links_in(mailbox.wait_for(owner.email, "sign-in link", 2))[0])
    page = owner.open(link)
    assert "Yes, sign in" in page.body.decode()
    assert not owner.is_signed_in
    done = owner.send(link, {})
    assert (done.status, done.get("location")) == (303, "/platform?deep")
    assert owner.is_signed_in


def test_another_browser_is_shown_a_code_that_completes_in_the_first(own: Gateway, mailbox: Mailbox) -> None:
    owner, link, _ = owner_before_link(own, mailbox)
    phone = Person(own, "owner", source="127.0.0.9")
    page = phone.open(link).body.decode()
    assert "<form" not in page
    code = re.search(r'id="code">([A-Z2-9-]+)<', page)
    assert code
    pressed = phone.send(link, {})
    assert pressed.status == 200
    assert not phone.is_signed_in
    assert phone.cookies == {}
    owner.open("/login/link?next=/platform")
    owner.submit("/login/link", code=code[1].lower())
    assert owner.is_signed_in


def test_a_link_is_good_once_and_a_newer_one_kills_it(own: Gateway, mailbox: Mailbox) -> None:
    owner, first, _ = owner_before_link(own, mailbox)
    owner.open("/login/link?next=/platform")
    owner.send("/login/link", {"next": "/platform", "resend": "1"})
    second = path_of(links_in(mailbox.wait_for(owner.email, "sign-in link", 3))[0])
    assert owner.open(first).status == 410
    assert "replaced by a newer one" in owner.send(first, {}).body.decode()
    assert not owner.is_signed_in
    owner.send(second, {})
    assert owner.is_signed_in
    session = owner.cookies[COOKIE]
    again = owner.send(second, {})
    assert again.status in (200, 410)
    assert "Yes, sign in" not in again.body.decode()
    assert owner.cookies[COOKIE] == session


def test_scanners_that_look_and_press_change_nothing(own: Gateway, mailbox: Mailbox) -> None:
    owner, link, _ = owner_before_link(own, mailbox)
    for _ in range(3):
        scanner = Person(own, "owner", source="127.0.0.9", browser="User-Agent: SafeLinks/1.0")
        assert own.exchange(get(link, method="HEAD")).status == 200
        scanner.open(link)
        scanner.send(link, {})
        scanner.send("/login/link", {"code": "AAAA-AAAA"})
        assert not scanner.is_signed_in
    owner.send(link, {})
    assert owner.is_signed_in


def test_a_link_for_another_attempt_of_the_same_person_completes_nothing_here(own: Gateway, mailbox: Mailbox) -> None:
    _, link, _ = owner_before_link(own, mailbox)
    # Another attempt of the same account, in a browser that knows the password only.
    thief = Person(own, "owner", source="127.0.0.8")
    thief.give_password("/platform")
    assert "Enter this code" in thief.open(link).body.decode()
    thief.send(link, {})
    assert not thief.is_signed_in


def test_a_mail_that_can_not_be_sent_is_said_at_once(own: Gateway, mailbox: Mailbox) -> None:
    mailbox.stop()
    try:
        owner = Person(own, "owner")
        page = owner.give_password("/platform")
        assert "couldn’t send the email" in page.body.decode()
        assert "link_unsent" in own.logged()
        assert "login_link_unsent" in audited(own)
        made = own.cli("account", "unlock", "--email", owner.email, "--one-time-link", "--confirm")
        assert made.returncode == 0, made.stderr
        link = path_of(re.findall(r"https://\S+", made.stdout)[0])
        assert key_on(owner.send(link, {}, follow=True))
    finally:
        mailbox.start()


def test_one_totp_code_from_fifty_requests_at_once_signs_one_in(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    key, codes = person.enrol()
    for path, code in (("/login/totp", code_of(own, person.email, key)), ("/login/backup", codes[3])):
        attempts = []
        for _ in range(5):
            other = Person(own, source="127.0.0.3")
            other.give_password()
            attempts.append(other.cookie_line)

        def send(line: str, path: str = path, code: str = code) -> int:
            answer = own.post(path, {"code": code, "next": "/probe"}, line, source="127.0.0.3")
            return int(any(value.startswith(COOKIE + "=") for value in answer.all("set-cookie")))

        with ThreadPoolExecutor(25) as pool:
            assert sum(pool.map(send, attempts * 10)) == 1


def test_one_link_from_fifty_requests_at_once_signs_one_in(own: Gateway, mailbox: Mailbox) -> None:
    owner, link, _ = owner_before_link(own, mailbox)

    def send(_: int) -> int:
        answer = own.post(link, {}, owner.cookie_line)
        return int(any(value.startswith(COOKIE + "=") for value in answer.all("set-cookie")))

    with ThreadPoolExecutor(25) as pool:
        assert sum(pool.map(send, range(50))) == 1


def test_six_wrong_codes_are_limited_across_workers(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    key, _ = person.enrol()
    other = Person(own, source="127.0.0.3")
    other.give_password()
    wrong = wrong_code(key)
    statuses = [other.send("/login/totp", {"code": wrong, "next": "/"}).status for _ in range(6)]
    assert statuses == [422] * 5 + [429]
    assert other.send("/login/totp", {"code": code_of(own, person.email, key), "next": "/"}).status == 429
    person.open("/login/totp?again=1&next=/probe")
    done = person.send("/login/totp", {"code": code_of(own, person.email, key), "next": "/probe", "again": "1"})
    assert done.status == 303
    assert "login_lockout" in audited(own)


def test_five_tabs_each_land_on_their_own_target(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    key, _ = person.enrol()
    other = Person(own, source="127.0.0.3")
    for tab in range(5):
        sent = other.send("/login", {"email": other.email, "password": PASSWORD, "next": f"/tab{tab}"})
        assert sent.get("location") == f"/login/totp?next=/tab{tab}"
    code = code_of(own, other.email, key)
    for tab in (3, 1, 4, 0, 2):
        sent = other.send("/login/totp", {"code": code, "next": f"/tab{tab}"})
        assert (sent.status, sent.get("location")) == (303, f"/tab{tab}")
    assert other.is_signed_in


def test_changing_a_factor_asks_for_fresh_proofs(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    key, _ = person.enrol()
    old = int(time.time()) - 660
    change(own, f'UPDATE sessions SET proofs = \'[["password",{old}],["totp",{old}]]\'')
    asked = person.open("/me/security/off", follow=False)
    assert asked.get("location") == "/login?next=/me/security/off&again=1"
    assert person.send("/me/security/codes", {}).get("location") == "/login?next=/me/security/codes&again=1"
    person.open("/me/security/off")
    person.submit("/login", password=PASSWORD, follow=False)
    assert person.open("/me/security/off", follow=False).get("location") == "/login/totp?next=/me/security/off&again=1"
    person.open("/me/security/off")
    page = person.submit("/login/totp", code=code_of(own, person.email, key))
    assert "Turn off two-step verification" in page.body.decode()
    person.submit("/me/security/off")
    other = Person(own, source="127.0.0.3")
    other.sign_in()
    assert other.is_signed_in
    assert "2fa_disabled" in audited(own)


def test_a_rule_may_ask_for_a_factor_or_a_fresh_proof(recorder: RecordingUpstream, tmp_path: Path) -> None:
    access = """
owners = []
rules = [{ path = "/" }, { path = "/pay", require = "totp", fresh = 900 }, { path = "/safe", fresh = 900 }]
"""
    own = Gateway(tmp_path, f"127.0.0.1:{recorder.port}", access=access).seed().start()
    try:
        person = Person(own)
        person.sign_in()
        assert person.open("/safe", follow=False).status == 200
        asked = person.open("/pay/now?x=1", follow=False)
        assert asked.get("location") == "/login/totp?next=/pay/now%3Fx%3D1&again=1"
        page = person.open("/pay/now?x=1")
        assert key_on(page)
        person.enrol_here(to="/me/security?done=enabled&next=/pay/now")
        assert person.open("/pay/now?x=1", follow=False).status == 200
        explained = own.cli("explain", "GET", "/pay", "--as", person.email).stdout
        assert "forwarded" in explained
    finally:
        assert own.stop() == 0


def test_joining_the_owners_asks_for_what_is_missing_on_the_next_request(own: Gateway, mailbox: Mailbox) -> None:
    person = Person(own, "manager")
    person.sign_in()
    own.reload("owners = [", f'owners = ["{person.email}", ')
    asked = person.open("/probe", follow=False)
    assert asked.get("location") == "/login/link?next=/probe&again=1"
    person.open("/probe")
    person.submit("/login/link", resend="1")
    link = path_of(links_in(mailbox.wait_for(person.email, "sign-in link"))[0])
    page = person.send(link, {}, follow=True)
    key = key_on(page)
    person.submit("/login/totp", code=code_of(own, person.email, key))
    assert person.is_signed_in
    own.reload(f'"{person.email}", ', "")
    assert person.is_signed_in


def test_a_second_factor_page_without_an_attempt_leads_to_the_beginning(own: Gateway) -> None:
    for path in ("/login/totp", "/login/backup", "/login/link"):
        assert Person(own).open(f"{path}?next=/x", follow=False).get("location") == "/login?next=/x"
        assert Person(own).send(path, {"code": "123456", "next": "/x"}).get("location") == "/login?next=/x"
    assert own.exchange(get(f"/login/link/{'a' * 43}", "Accept: text/html")).status == 404


def test_an_attempt_can_be_given_up(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    person.enrol()
    other = Person(own, source="127.0.0.3")
    other.give_password()
    other.submit("/login", follow=True, **{"start-over": "1"})
    assert ATTEMPT not in other.cookies
    assert other.open("/login/totp?next=/x", follow=False).get("location") == "/login?next=/x"


def test_pages_of_signing_in_are_never_kept_by_anyone(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    person.enrol()
    other = Person(own, source="127.0.0.3")
    assert other.give_password().get("cache-control") == "no-store"
    assert person.open("/me/security").get("cache-control") == "no-store"


def test_people_are_named(own: Gateway) -> None:
    assert PEOPLE["owner"][0] in own.cli("account", "list").stdout
