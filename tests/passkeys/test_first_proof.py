"""A passkey instead of a password, in a real Chromium with virtual authenticators."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.passkeys.conftest import MakePerson, with_passkey
from tests.support.gateway import Gateway


def test_one_touch_of_the_button_signs_in(person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd20@acme.example")
    erin.without_autofill()
    erin.open("/whoami?week=47#friday")
    erin.press("Use a passkey")
    erin.is_at("/whoami?week=47#friday")


def test_a_passkey_is_offered_where_the_email_is_typed(person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd21@acme.example")
    erin.open("/whoami")
    erin.is_at("/whoami")  # the virtual authenticator answers at once


def test_two_tabs_offer_it_at_the_same_time(person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd22@acme.example")
    erin.without_autofill()
    erin.open("/whoami?tab=1")
    other = erin.context.new_page()
    other.goto(f"{erin.own.public_url}/whoami?tab=2")
    erin.page.bring_to_front()
    erin.press("Use a passkey")
    erin.is_at("/whoami?tab=1")


def test_a_removed_passkey_is_unknown(own: Gateway, person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd23@acme.example")
    erin.without_autofill()
    own.write("DELETE FROM passkeys WHERE account = (SELECT id FROM accounts WHERE identifier = :who)", who=erin.email)
    erin.open("/whoami")
    erin.press("Use a passkey")
    expect(erin.page.get_by_role("alert")).to_contain_text("isn’t known here")
    erin.page.get_by_role("link", name="Back to sign-in").click()
    expect(erin.page.get_by_label("Email")).to_be_visible()


def test_a_disabled_account_stays_outside(own: Gateway, person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd24@acme.example")
    erin.without_autofill()
    own.write("UPDATE accounts SET status = 'disabled' WHERE identifier = :who", who=erin.email)
    erin.open("/whoami")
    erin.press("Use a passkey")
    expect(erin.page.get_by_role("alert")).to_contain_text("couldn’t be verified")


def test_a_passkey_confirms_who_it_is(person: MakePerson) -> None:
    """Instead of the password, on the page that asks for a fresh proof."""
    erin, _ = with_passkey(person, "crowd26@acme.example")
    erin.without_autofill()
    erin.open("/whoami")
    erin.press("Use a passkey")
    erin.is_at("/whoami")
    erin.age_proofs()
    erin.open("/me/security/passkeys")
    expect(erin.page.get_by_role("heading", name="Confirm it’s you")).to_be_visible()
    erin.press("Use a passkey")
    expect(erin.page.get_by_role("heading", name="Add a passkey")).to_be_visible()


def test_a_passkey_from_outside_the_networks_opens_nothing(own: Gateway, person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd39@acme.example")
    erin.without_autofill()
    own.write("UPDATE accounts SET networks = '198.51.100.0/24' WHERE identifier = :who", who=erin.email)
    erin.open("/whoami")
    erin.press("Use a passkey")
    expect(erin.page.get_by_role("heading", level=1)).to_have_text("This account can’t be used from your network.")
    found = own.write("SELECT outcome FROM audit WHERE event = 'network_refused' AND identifier = :who", who=erin.email)
    assert found == [("failure",)]
