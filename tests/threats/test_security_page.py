"""/me/security and the frame around every page: what people see of their own account."""

from __future__ import annotations

import html
import re
import sqlite3
import time
from pathlib import Path
from urllib.parse import urlencode

import pyotp
import pytest

from gateway.app.factors import DONE, FACTORS
from gateway.factors.contract import Done
from gateway.factors.totp.codes import PERIOD
from gateway.model.clock import DAY
from tests.support.clock import stay_within, today
from tests.support.gateway import Gateway
from tests.support.mail import Mailbox
from tests.support.owner import enrol_owner
from tests.support.person import Person, code_of, codes_around, key_on, wrong_code
from tests.support.raw import Response, get
from tests.support.upstream import RecordingUpstream
from tests.threats.test_links import make_owner

NEEDED = b"This page requires two-step verification."


def panel(page: Response, name: str) -> str:
    """Return the text of the section called `name`."""
    found = re.search(
        rf'<section class="panel" aria-labelledby="{name}">(.*?)</section>', page.body.decode(), re.DOTALL
    )
    assert found, name
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).split())


def has_topbar(page: Response) -> bool:
    nav = re.search(r"<nav.*?</nav>", page.body.decode(), re.DOTALL)
    return nav is not None and bool(
        re.search(
            r'(?s)class="who">.*href="(?:/me/security">Your account|/">Back to OtiumWork)</a>.*>Sign out<', nav[0]
        )
    )


def test_every_factor_says_when_it_was_set_up_and_last_used(own: Gateway, mailbox: Mailbox) -> None:
    stay_within(DAY)
    owner, _, _ = enrol_owner(own, mailbox)
    page = owner.open("/me/security")
    for name, words in {
        "password-factor": ["Last used"],
        "totp": ["Set up on", "Last used"],
        "link-factor": ["Last used"],
    }.items():
        for word in words:
            assert re.search(rf"{word} {today()}", panel(page, name)), (name, word)
    assert re.search(rf"Created {today()}", panel(page, "codes"))
    assert "Last used Never" in panel(page, "codes")
    assert "8 codes left" in panel(page, "codes")


def test_no_two_factors_mean_the_same_by_a_change() -> None:
    assert len(DONE) == sum(len(folder.done) for folder in FACTORS)


@pytest.mark.parametrize("name", [*DONE, "", "something-else"])
def test_after_a_change_the_page_says_what_was_done(gateway: Gateway, employee: str, name: str) -> None:
    text = gateway.exchange(get(f"/me/security?{urlencode({'done': name, 'next': '/probe'})}", employee)).body.decode()
    done = DONE.get(name, Done(said=(), frees_devices=False))
    note = text.partition('role="status"')[2].partition('<section class="panel"')[0]
    assert re.findall(r"<p>([^<]+)</p>", note) == [html.escape(sentence) for sentence in done.said]
    assert ("Sign out all other devices" in note) is done.frees_devices
    assert ('href="/probe"' in note) is done.goes_on


def test_the_page_warns_when_two_codes_are_left(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    _, codes = person.enrol()
    for at, code in enumerate(codes[:6]):
        assert "running low" not in panel(person.open("/me/security"), "codes"), at
        other = Person(own, source=f"127.0.0.{at + 3}")
        other.give_password()
        other.open("/login/backup?next=/probe")
        other.submit("/login/backup", code=code)
        assert other.is_signed_in
    left = panel(person.open("/me/security"), "codes")
    assert "2 codes left" in left
    assert "running low" in left


@pytest.mark.parametrize(("off", "clock"), [(-1, "slow"), (1, "fast")])
def test_a_clock_that_drifts_is_named_where_the_phone_is_in_the_hand(own: Gateway, off: int, clock: str) -> None:
    person = Person(own)
    person.sign_in()
    key, _ = person.enrol()
    for at in range(3):
        with sqlite3.connect(own.store_url.removeprefix("sqlite:///")) as connection:
            connection.execute("UPDATE totp SET last_step = 0")  # as if the last code had been used long ago
        other = Person(own, source=f"127.0.0.{at + 3}")
        asked = other.give_password().body.decode()
        assert "phone’s clock" not in asked
        while time.time() % PERIOD > PERIOD - 12 or len(codes := shown_near_now(key)) < 3:
            time.sleep(0.1)
        other.submit("/login/totp", code=codes[off])
        assert other.is_signed_in
    fourth = Person(own, source="127.0.0.9")
    assert f"Your phone’s clock is running {clock}" in fourth.give_password().body.decode()
    assert f"Your phone’s clock is running {clock}" in panel(person.open("/me/security"), "totp")


def shown_near_now(key: str) -> dict[int, str]:
    """Return the codes of the steps before, at and after the present one, by step; fewer where some are equal."""
    codes = {off: pyotp.TOTP(key).at(time.time() + off * PERIOD) for off in (-1, 0, 1)}
    return {off: code for off, code in codes.items() if [*codes.values()].count(code) == 1}


def test_every_page_of_a_signed_in_person_leads_to_their_account_or_back_and_to_signing_out(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    pages = ["/me/security", "/me/security/totp", "/me/security/codes", "/me/security/off", "/me/sessions", "/logout"]
    pages += ["/admin/accounts", "/platform", "/login/link/none", "/devices/revoke/none", "/login?again=1&next=/x"]
    pages += ["/login/form/none", "/_gateway/static/none"]
    assert {path for path in pages if not has_topbar(person.open(path, follow=False))} == set()
    foreign = own.post("/logout", {}, person.cookie_line, origin="https://evil.example")
    assert foreign.status == 403
    assert has_topbar(foreign)
    admin = Person(own, "admin", source="127.0.0.4")
    admin.sign_in()
    assert has_topbar(admin.open("/admin/accounts/reset-2fa?account=none"))
    person.open("/me/security/totp")
    person.enrol_here()
    assert person.page is not None
    assert has_topbar(person.page)


def test_who_is_not_signed_in_is_shown_nobodys_name(own: Gateway) -> None:
    for path in ("/login", "/login/link/none", "/devices/revoke/none", "/_gateway/static/none"):
        assert not has_topbar(Person(own).open(path))


def test_who_lacks_a_factor_can_still_sign_out(own: Gateway) -> None:
    person = Person(own, "manager")
    person.sign_in()
    make_owner(own, person)
    page = person.open("/logout")
    assert page.status == 200
    assert "Mara" in page.body.decode()
    person.submit("/logout")
    assert set(person.cookies) == {"__Host-otium_browser"}  # which lets nobody in: it says who was here last


def test_a_code_that_is_asked_for_again_comes_with_the_reason(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    person.enrol()
    again = person.open("/login/totp?next=/x&again=1").body
    assert b"For your security, enter a code to continue." in again
    assert b"save what you submitted" not in again
    assert b"save what you submitted" in person.open("/login/totp?next=/x&again=1&not-kept=1").body
    assert b"save what you submitted" in person.open("/login?next=/x&again=1&not-kept=1").body
    other = Person(own, source="127.0.0.3")
    assert b"enter a code to continue" not in other.give_password().body


def test_a_code_of_the_picture_in_another_tab_is_told_apart_from_the_one_on_the_page(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    code = code_of(own, person.email, key_on(person.open("/me/security/totp")))
    while code in codes_around(here := key_on(person.open("/me/security/totp"))):
        pass  # the two keys have a code in common
    wrong = person.submit("/me/security/totp", code=code)
    assert wrong.status == 422
    assert b"If you scanned a different QR code earlier" in wrong.body
    assert key_on(wrong) == here
    assert person.enrol_here()[0] == here


def test_setting_up_of_ones_own_accord_speaks_of_no_page(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    page = person.open("/me/security/totp")
    assert NEEDED not in page.body
    wrong = person.submit("/me/security/totp", code=wrong_code(key_on(page)))
    assert wrong.status == 422
    assert NEEDED not in wrong.body


def test_setting_up_what_a_rule_asks_for_offers_to_sign_out_everywhere_else_and_goes_on(
    recorder: RecordingUpstream, tmp_path: Path
) -> None:
    access = 'owners = []\nrules = [{ path = "/" }, { path = "/pay", require = "totp" }]\n'
    own = Gateway(tmp_path, f"127.0.0.1:{recorder.port}", access=access).seed().start()
    try:
        person = Person(own)
        person.sign_in()
        page = person.open("/pay/now?x=1")
        assert NEEDED in page.body
        wrong = person.submit("/me/security/totp", code=wrong_code(key_on(page)))
        assert wrong.status == 422
        assert NEEDED in wrong.body
        person.enrol_here(to="/me/security?done=enabled&next=/pay/now%3Fx%3D1")
        page = person.open("/me/security?done=enabled&next=/pay/now%3Fx%3D1").body.decode()
        assert "Sign out all other devices" in page
        assert 'href="/pay/now?x=1"' in page
        assert "evil" not in person.open("/me/security?done=enabled&next=//evil.example").body.decode()
        assert person.open("/pay/now?x=1", follow=False).status == 200
    finally:
        assert own.stop() == 0
