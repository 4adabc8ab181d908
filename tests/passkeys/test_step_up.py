"""Pages of the application that ask for a passkey: it is given, or set up, and what was on the way arrives."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.passkeys.conftest import MakePerson, Person, with_passkey
from tests.support.gateway import ACCESS, PASSWORD, Gateway
from tests.support.person import code_of
from tests.support.upstream import RecordingUpstream

RULES = """
  { path = "/payroll", require = "passkey" },
  { path = "/payments", require = "passkey", fresh = 60 },
"""
FORM = (
    '<!doctype html><title>Payment</title><form method="post" action="/payments?to=acme">'
    '<label>Amount <input name="amount"></label><button>Pay</button></form>'
)
IDLE = 604_800  # seconds after which a member's session is over


@pytest.fixture(scope="module")
def access() -> str:
    return ACCESS.replace("rules = [", f"rules = [{RULES}")


def write_payment(erin: Person, upstream: RecordingUpstream) -> None:
    """Open a page of the application with a form, and fill it in."""
    answer = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(FORM)}\r\n\r\n{FORM}"
    upstream.answers("/whoami", answer.encode())
    erin.open("/whoami")
    erin.page.get_by_label("Amount").fill("7½ <EUR>")


def send_kept(erin: Person, upstream: RecordingUpstream) -> None:
    """Look at the form that was kept, send it, and see that it has come once."""
    erin.has_heading("We saved your form")
    expect(erin.page.get_by_text("7½ <EUR>")).to_be_visible()
    assert not [request for request in upstream.requests if request.target.startswith("/payments")]
    erin.press("Send")
    erin.is_at("/payments?to=acme")
    (request,) = [request for request in upstream.requests if request.target.startswith("/payments")]
    assert request.body == urlencode({"amount": "7½ <EUR>"}).encode()
    assert "passkey" in request.all("x-otium-factors")[0]


def test_one_touch_is_enough_for_a_page_that_needs_a_passkey(person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd1@acme.example")
    erin.open("/payroll?month=11#total")
    erin.is_at("/payroll?month=11#total")


def test_who_has_none_adds_one_and_comes_back(person: MakePerson) -> None:
    erin = person("crowd2@acme.example")
    erin.plug_in()
    erin.sign_in()
    erin.open("/payroll?month=11")
    expect(erin.page.get_by_text("The page you asked for requires a passkey.")).to_be_visible()
    erin.press("Add passkey")
    erin.follow("I’ve saved my codes")
    erin.follow("Continue")
    erin.is_at("/payroll?month=11")


def test_a_code_of_the_authenticator_app_is_not_enough(own: Gateway, person: MakePerson) -> None:
    erin = person("crowd7@acme.example")
    erin.plug_in(transport="usb")
    erin.without_autofill()
    erin.sign_in()
    erin.open("/me/security/totp")
    key = erin.page.locator("#key").inner_text().replace(" ", "")
    erin.page.get_by_label("Enter the 6-digit code").fill(code_of(own, erin.email, key))
    erin.press("Turn on")
    erin.has_heading("Save your backup codes")
    erin.open("/me/security/passkeys")
    erin.press("Add passkey")
    expect(erin.page.get_by_role("status")).to_contain_text("Passkey added.")
    erin.context.clear_cookies()
    erin.give_password()
    erin.follow("Use your authenticator app instead")
    erin.page.get_by_label("6-digit code").fill(code_of(own, erin.email, key))
    erin.press("Continue")
    erin.is_at("/whoami")
    erin.open("/payroll")
    erin.has_heading("Use your passkey")
    expect(erin.page.get_by_role("link", name="authenticator app")).to_have_count(0)
    expect(erin.page.get_by_role("link", name="backup code")).to_have_count(0)
    erin.press("Use passkey")
    erin.is_at("/payroll")


def test_who_has_lost_it_adds_a_new_one_on_the_way(person: MakePerson) -> None:
    erin = person("crowd13@acme.example")
    laptop = erin.plug_in()
    erin.without_autofill()
    erin.sign_in()
    erin.add_passkey()
    code = erin.page.locator("#codes code").first.inner_text()
    erin.context.clear_cookies()
    erin.give_up(laptop)
    erin.give_password("/payroll?month=11")
    erin.follow("Can’t use your passkey? Use a backup code")
    erin.page.get_by_label("Backup code").fill(code)
    erin.press("Continue")
    erin.has_heading("Use your passkey")
    erin.follow("Can’t use your passkey? Add a new one")
    erin.plug_in()
    erin.press("Add passkey")
    erin.follow("Continue")
    erin.is_at("/payroll?month=11")


def test_a_form_waits_until_the_passkey_is_proved_again(person: MakePerson, upstream: RecordingUpstream) -> None:
    erin, _ = with_passkey(person, "crowd8@acme.example")
    erin.without_autofill()
    erin.open("/payroll")
    erin.press("Use a passkey")
    erin.is_at("/payroll")
    write_payment(erin, upstream)
    erin.age_proofs()
    erin.press("Pay")
    erin.has_heading("Use your passkey")
    erin.press("Use passkey")
    send_kept(erin, upstream)


def test_a_form_waits_until_a_first_passkey_is_set_up(person: MakePerson, upstream: RecordingUpstream) -> None:
    erin = person("crowd9@acme.example")
    erin.plug_in()
    erin.sign_in()
    write_payment(erin, upstream)
    erin.press("Pay")
    erin.press("Add passkey")
    erin.follow("I’ve saved my codes")
    erin.follow("Continue")
    send_kept(erin, upstream)


def test_a_form_whose_session_has_ended_arrives_by_one_touch(
    own: Gateway, person: MakePerson, upstream: RecordingUpstream
) -> None:
    erin, _ = with_passkey(person, "crowd10@acme.example")
    erin.without_autofill()
    erin.open("/me/security")
    erin.press("Use a passkey")
    erin.is_at("/me/security")
    write_payment(erin, upstream)
    assert own.stop() == 0  # a worker that has seen the session in use knows better than the store
    own.start()
    idle = f"UPDATE sessions SET seen_at = seen_at - {IDLE} - 60 WHERE account IN"
    own.write(f"{idle} (SELECT id FROM accounts WHERE identifier = :who)", who=erin.email)
    erin.press("Pay")
    expect(erin.page.get_by_role("status")).to_contain_text("We saved your form. Sign in to review and send it.")
    erin.press("Use a passkey")
    send_kept(erin, upstream)


def test_somebody_elses_passkey_confirms_nothing(person: MakePerson) -> None:
    erin, laptop = with_passkey(person, "crowd11@acme.example")
    erin.without_autofill()
    erin.open("/payments")
    erin.press("Use a passkey")
    erin.is_at("/payments")
    erin.age_proofs()
    (mine,) = erin.credentials(laptop)
    erin.tell(laptop, "removeCredential", credentialId=mine["credentialId"])
    other, others = with_passkey(person, "crowd12@acme.example")
    (theirs,) = other.credentials(others)
    erin.tell(laptop, "addCredential", credential=theirs)
    erin.open("/payments")
    erin.press("Use passkey")
    erin.is_refused()
    erin.open("/me/security/passkeys")
    erin.press("Use a passkey")
    erin.is_refused()
    erin.page.get_by_label("Password").fill(PASSWORD)
    erin.press("Continue")
    erin.has_heading("Use your passkey")
