"""Where only passkeys count, by the settings, by the tenant or by choice, nothing else opens the account."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest

from tests.support.authenticator import Authenticator
from tests.support.gateway import ACCESS, PASSWORD, Gateway
from tests.support.mail import Mailbox, links_in
from tests.support.owner import mailed_link, path_of
from tests.support.person import code_of, wrong_code
from tests.support.upstream import RecordingUpstream
from tests.threats.test_passkeys import Holder, events_of

crowd = itertools.count()
VAULT = '{ path = "/vault", require = "totp", fresh = 600 },'


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    changes = {"FACTORS__SECOND__MANAGER": "required", "FACTORS__SECOND__ADMIN": "phishing_resistant"}
    folder = tmp_path_factory.mktemp("only")
    access = ACCESS.replace('{ path = "/beta"', VAULT + '{ path = "/beta"')
    upstream = f"127.0.0.1:{recorder.port}"
    running = Gateway(folder, upstream, changes=changes, access=access, mail_port=mailbox.port).seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


def enrol(person: Holder) -> None:
    """Add the passkey that the sign-in asks for."""
    asked = person.ask("/login/passkey/options", enrol="1")
    answer = person.authenticator.register(person.said(asked))
    fields = {"challenge": asked["challenge"], "answer": answer, "enrol": "1", "next": "/probe"}
    assert person.send("/login/passkey", fields).status in (200, 303)


class Chosen(Holder):
    """Somebody with a passkey, an authenticator app and backup codes, who accepts only passkeys."""

    def __init__(self, own: Gateway) -> None:
        super().__init__(own, f"crowd{next(crowd)}@acme.example")
        self.add()
        self.give_password()
        self.prove()
        self.key, self.codes = self.enrol()
        done = self.send("/me/security/passkeys-only", {"on": "yes"})
        assert done.get("location") == "/me/security?done=passkeys-only", done.status
        self.cookies.clear()


def test_who_lacks_a_second_step_is_led_to_it_and_reaches_nothing_else(own: Gateway) -> None:
    mara = Holder(own, "mara@acme.example")
    page = mara.give_password()
    assert b"Set up an authenticator app" in page.body
    assert b"Your account needs two-step verification" in page.body
    assert b"Use a passkey instead" in page.body
    assert not mara.is_signed_in
    assert mara.open("/me/security", follow=False).status == 303
    enrol(mara)
    assert mara.is_signed_in


def test_who_needs_a_passkey_is_led_to_it_whatever_else_there_is(own: Gateway) -> None:
    adam = Holder(own, "adam@acme.example")
    page = adam.give_password().body
    assert b"Add a passkey" in page
    assert b"Ask another administrator" in page
    assert b"Add a passkey" in adam.open("/login/totp").body
    assert not adam.is_signed_in
    enrol(adam)
    assert adam.is_signed_in


def test_a_demand_bites_on_the_next_request(own: Gateway) -> None:
    person = Holder(own, f"crowd{next(crowd)}@acme.example")
    person.give_password()
    assert person.is_signed_in
    own.write("UPDATE tenants SET factor_policy = 'employee=required' WHERE slug = 'acme'")
    own.announce()
    try:
        assert not person.is_signed_in
        assert b"Set up an authenticator app" in person.open("/probe").body
    finally:
        own.write("UPDATE tenants SET factor_policy = '' WHERE slug = 'acme'")
        own.announce()
    assert person.is_signed_in


@pytest.mark.parametrize("demand", ["employee=required", "employee=phishing_resistant"])
@pytest.mark.parametrize("has_app", [False, True], ids=["", "has an app"])
def test_a_stolen_session_does_not_answer_a_demand_with_a_passkey_of_its_own(
    own: Gateway, demand: str, has_app: bool
) -> None:
    person = Holder(own, f"crowd{next(crowd)}@acme.example")
    person.give_password()
    key = person.enrol()[0] if has_app else ""
    person.age_proofs()
    own.write("UPDATE tenants SET factor_policy = :demand WHERE slug = 'acme'", demand=demand)
    own.announce()
    try:
        thief = person.elsewhere()
        thief.cookies = dict(person.cookies)
        assert thief.send("/login/passkey/options", {"enrol": "1"}).status == 409
        wrong = wrong_code(key) if has_app else "000000"
        assert thief.send("/login/totp", {"offered": "00", "code": wrong}).status in (303, 422)
        assert b'id="key"' not in thief.open("/login/totp").body
        if demand == "employee=required" and has_app:
            assert person.is_signed_in  # nothing is demanded that they lack
            return
        assert "Confirm it’s you" in person.open("/probe").body.decode()
        page = person.submit("/login", password=PASSWORD)
        if has_app:
            page = person.submit("/login/totp", code=code_of(own, person.email, key))
        assert b"Add a passkey" in page.body or b"Use a passkey instead" in page.body
        enrol(person)
        assert person.is_signed_in
    finally:
        own.write("UPDATE tenants SET factor_policy = '' WHERE slug = 'acme'")
        own.announce()


def test_a_rule_that_wants_the_second_step_again_wants_the_passkey(own: Gateway) -> None:
    person = Chosen(own)
    person.enter()
    assert person.open("/vault", follow=False).status == 200
    person.age_proofs()
    assert person.send("/login/backup", {"code": person.codes[3], "again": "1"}).status == 422
    assert (person.open("/vault", follow=False).get("location") or "").startswith("/login/passkey")
    assert (person.open("/login/backup?again=1", follow=False).get("location") or "").startswith("/login/passkey")
    left = "SELECT count(*) FROM backup_codes b JOIN accounts a ON a.id = b.account"
    assert own.write(f"{left} WHERE a.identifier = :who AND b.used_at IS NULL", who=person.email) == [(8,)]


def test_nothing_takes_the_place_of_the_passkey(own: Gateway) -> None:
    person = Chosen(own)
    person.give_password()
    assert person.send("/login/totp", {"code": code_of(own, person.email, person.key)}).status == 303
    assert not person.is_signed_in
    # A backup code leads to a mailed link, and that to adding a passkey: never inside.
    assert b"then add a new passkey" in person.open("/login/backup").body
    assert (person.send("/login/backup", {"code": person.codes[0]}).get("location") or "").startswith("/login/link")
    assert not person.is_signed_in
    assert b"Add passkey" not in person.open("/login/passkey").body
    assert person.send("/login/passkey/options", {"enrol": "1"}).status == 409
    assert not person.is_signed_in


def test_a_reset_password_does_not_open_the_account(own: Gateway, mailbox: Mailbox) -> None:
    person = Chosen(own)
    person.send("/forgot-password", {"email": person.email})
    link = next(link for link in links_in(mailbox.wait_for(person.email, "password")) if "/reset-password/" in link)
    new = "another correct horse battery"
    assert person.send(path_of(link), {"password": new}).status == 303
    person.give_password(password=new)
    assert not person.is_signed_in
    assert person.elsewhere().enter().status == 422  # once beside the new password first
    assert person.prove().get("location") == "/probe"


def test_a_lost_passkey_is_replaced_with_a_backup_code_and_a_mailed_link(own: Gateway, mailbox: Mailbox) -> None:
    lost = Chosen(own)
    lost.authenticator = Authenticator(credential=b"another one".ljust(32))
    lost.give_password()
    assert lost.send("/login/backup", {"code": lost.codes[1]}, follow=True).status == 200
    lost.send(mailed_link(mailbox, lost.email), {})
    assert not lost.is_signed_in
    assert b"replace the one that you can" in lost.open("/login/passkey").body
    enrol(lost)
    assert lost.is_signed_in
    assert {"2fa_code_used", "passkey_added", "login"} <= set(events_of(own, lost))


def test_a_found_passkey_still_signs_in_after_a_backup_code(own: Gateway, mailbox: Mailbox) -> None:
    person = Chosen(own)
    person.give_password()
    person.send("/login/backup", {"code": person.codes[2]}, follow=True)
    person.send(mailed_link(mailbox, person.email), {})
    page = person.open("/login/passkey?next=/probe&only=1").body
    assert b"Use your passkey" in page
    assert b'href="/login/passkey?next=/probe">' in page  # back to adding one
    assert person.prove().get("location") == "/probe"
    assert person.is_signed_in


def test_a_stolen_session_changes_nothing_without_the_passkey(own: Gateway) -> None:
    person = Chosen(own)
    person.enter()
    person.age_proofs()
    assert b"Confirm it" in person.open("/me/security/passkeys-only").body
    person.send("/login", {"email": person.email, "password": PASSWORD, "again": "1"})
    person.send("/login/totp", {"code": code_of(own, person.email, person.key), "again": "1"})
    person.send("/login/backup", {"code": person.codes[0], "again": "1"})
    assert (person.open("/me/security/passkeys-only", follow=False).get("location") or "").startswith("/login/passkey")


def move(own: Gateway, person: Holder) -> None:
    """Have the person's passkeys be made for another address."""
    whose = "account = (SELECT id FROM accounts WHERE identifier = :who)"
    own.write(f"UPDATE passkeys SET rp_id = 'old.example.com' WHERE {whose}", who=person.email)


@pytest.mark.parametrize("is_moved", [False, True])
def test_a_page_for_a_fresh_proof_says_what_to_do_without_the_passkey(own: Gateway, is_moved: bool) -> None:
    person = Chosen(own)
    person.enter()
    person.age_proofs()
    if is_moved:
        move(own, person)
    person.send("/login", {"email": person.email, "password": PASSWORD, "again": "1"})
    page = person.open("/me/security/passkeys").body.decode()
    assert "sign in with a backup code to add a new" in page
    assert 'href="/logout">Sign out</a></p>' in page
    assert not re.search(r'href="(#|")', page.partition("<main")[2])


@pytest.mark.parametrize("is_moved", [False, True])
def test_a_rule_for_passkeys_offers_to_add_one_in_place_of_one_that_does_not_work(own: Gateway, is_moved: bool) -> None:
    person = Holder(own, f"crowd{next(crowd)}@acme.example").add()
    person.enter()
    if is_moved:
        move(own, person)
    page = person.open("/login/passkey?next=/probe&again=1&only=1").body.decode()
    assert 'href="/me/security/passkeys?next=/probe"' in page
    assert not re.search(r'href="(#|")', page.partition("<main")[2])


@pytest.mark.parametrize("left", ["nothing else", "a backup code"])
def test_the_choice_needs_a_way_back(own: Gateway, left: str) -> None:
    person = Holder(own, f"crowd{next(crowd)}@acme.example").add()
    if left == "nothing else":
        forget_codes(own, person)
    person.enter()
    answer = person.send("/me/security/passkeys-only", {"on": "yes"})
    assert answer.status == (422 if left == "nothing else" else 303)


def test_a_refused_passkey_signs_nobody_out_and_the_page_says_so(own: Gateway) -> None:
    person = Holder(own, f"crowd{next(crowd)}@acme.example").add()
    person.enter()
    asked = person.ask("/login/passkey/first-options", again="1")
    answer = Authenticator(credential=b"another one".ljust(32)).prove(person.said(asked))
    page = person.send("/login/passkey/first", {"challenge": asked["challenge"], "answer": answer, "again": "1"})
    assert page.status == 422
    assert "We couldn’t confirm it’s you" in page.body.decode()
    assert "You’re not signed in" not in page.body.decode()


def add_another(person: Holder) -> None:
    person.authenticator = Authenticator(credential=f"second of {person.email}".encode().ljust(32))
    asked = person.ask("/me/security/passkeys/options")
    answer = person.authenticator.register(person.said(asked))
    done = person.send("/me/security/passkeys", {"challenge": asked["challenge"], "answer": answer})
    assert done.status == 303, done.status


def forget_codes(own: Gateway, person: Holder) -> None:
    whose = "account = (SELECT id FROM accounts WHERE identifier = :who)"
    own.write(f"DELETE FROM backup_codes WHERE {whose}", who=person.email)


def test_passkeys_of_another_address_are_no_way_back(own: Gateway) -> None:
    person = Holder(own, f"crowd{next(crowd)}@acme.example").add()
    person.enter()
    add_another(person)
    forget_codes(own, person)
    move(own, person)
    assert person.send("/me/security/passkeys-only", {"on": "yes"}).status == 422


def test_the_last_passkey_that_works_stays_and_others_may_go(own: Gateway) -> None:
    person = Chosen(own)
    person.enter()
    move(own, person)
    add_another(person)
    forget_codes(own, person)
    query = "SELECT p.id FROM passkeys p JOIN accounts a ON a.id = p.account WHERE a.identifier = :who ORDER BY p.rp_id"
    (here,), (elsewhere,) = own.write(query, who=person.email)  # app.example.com, then old.example.com
    assert "lock you out" in person.open(f"/me/security/passkey?id={here}").body.decode()
    assert person.send("/me/security/passkey", {"id": here, "remove": "yes"}).status == 422
    assert person.send("/me/security/passkey", {"id": elsewhere, "remove": "yes"}).status == 303


def test_the_last_passkey_stays(own: Gateway) -> None:
    person = Chosen(own)
    person.enter()
    [(key,)] = own.write("SELECT p.id FROM passkeys p JOIN accounts a ON a.id = p.account WHERE a.identifier = :who",
                         who=person.email)  # fmt: skip
    assert person.send("/me/security/passkey", {"id": key, "remove": "yes"}).status == 422
    assert person.send("/me/security/off", {}).get("location") == "/me/security?done=disabled"  # the app may go


def test_a_passkey_found_while_the_link_is_awaited_signs_in(own: Gateway) -> None:
    person = Chosen(own)
    person.give_password()
    waiting = person.send("/login/backup", {"code": person.codes[3]}, follow=True).body.decode()
    assert "Found your passkey?" in waiting
    assert "Use your passkey" in person.open("/login/passkey").body.decode()
    assert person.prove().get("location") == "/probe"
    assert person.is_signed_in
