"""A passkey as the second step, as a person does it, in a real Chromium with virtual authenticators."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.passkeys.conftest import MakePerson, with_passkey
from tests.support.gateway import Gateway
from tests.support.mail import Mailbox


def test_a_passkey_is_added_and_asked_for_at_the_next_sign_in(
    own: Gateway, mailbox: Mailbox, person: MakePerson
) -> None:
    erin = person("crowd0@acme.example")
    phone = erin.plug_in(transport="usb", hasUserVerification=False, hasResidentKey=False)
    erin.give_password("/me/security")
    erin.page.get_by_role("link", name="Add a passkey").click()
    erin.press("Add passkey")
    expect(erin.page.get_by_role("heading", name=re.compile("backup codes"))).to_be_visible()
    assert len(erin.credentials(phone)) == 1
    mailbox.wait_for(erin.email, "passkey was added")
    erin.page.context.clear_cookies()
    erin.give_password("/whoami")
    expect(erin.page.get_by_role("heading", name="Use your passkey")).to_be_visible()
    erin.press("Use passkey")
    erin.is_at("/whoami")


def test_a_key_without_verification_is_the_second_step_only(own: Gateway, person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd3@acme.example", transport="usb", hasUserVerification=False)
    erin.open("/whoami")
    erin.press("Use a passkey")
    expect(erin.page.get_by_role("alert")).to_be_visible()
    assert "/login" in erin.page.url
    erin.give_password()
    erin.press("Use passkey")
    erin.is_at("/whoami")


def test_a_code_of_the_phone_and_a_backup_code_do_instead(own: Gateway, person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd4@acme.example", transport="usb", hasUserVerification=False)
    erin.give_password()
    expect(erin.page.get_by_role("link", name="authenticator app")).to_have_count(0)
    erin.page.get_by_role("link", name="backup code").click()
    expect(erin.page.get_by_label("Backup code")).to_be_visible()
    erin.open("/login/totp?next=/whoami")
    expect(erin.page.get_by_role("heading", name="Use your passkey")).to_be_visible()


def test_a_passkey_is_renamed_and_removed(own: Gateway, mailbox: Mailbox, person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd5@acme.example", transport="usb", hasUserVerification=False)
    erin.give_password("/me/security")
    erin.press("Use passkey")
    erin.page.get_by_role("link", name="Change", exact=True).or_(
        erin.page.get_by_role("link", name="Change Passkey")
    ).click()
    erin.page.get_by_label("Name").fill("  My   key ")
    erin.press("Rename")
    expect(erin.page.get_by_role("heading", name="My key", exact=True)).to_be_visible()
    mailbox.wait_for(erin.email, "passkey of your account was renamed")
    erin.page.get_by_role("link", name="Change My key").click()
    erin.press("Remove")
    expect(erin.page.get_by_role("status")).to_contain_text("Passkey removed")
    mailbox.wait_for(erin.email, "passkey was removed")
    erin.context.clear_cookies()
    erin.give_password()
    erin.is_at("/whoami")


def test_the_same_device_is_not_added_twice(own: Gateway, person: MakePerson) -> None:
    erin = person("crowd6@acme.example")
    phone = erin.plug_in()
    erin.give_password("/me/security")
    erin.add_passkey()
    erin.open("/me/security/passkeys")
    erin.press("Add passkey")
    expect(erin.page.get_by_role("alert")).to_contain_text("already has a passkey")
    assert len(erin.credentials(phone)) == 1
