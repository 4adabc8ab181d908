"""Owners prove three things: the password, a passkey or TOTP, and the mailed link."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.passkeys.conftest import MakePerson, Person, with_passkey
from tests.support.gateway import ACCESS, PASSWORD, Gateway
from tests.support.mail import Mailbox
from tests.support.person import code_of
from tests.support.visitor import link_to

OWNERS = [f"crowd{number}@acme.example" for number in range(41, 46)]


@pytest.fixture(scope="module")
def access() -> str:
    more = ", ".join(f'"{email}"' for email in OWNERS)
    return ACCESS.replace("owners = [", f"owners = [{more}, ")


def open_link(owner: Person, mailbox: Mailbox, count: int) -> None:
    """Open the mailed link, once `count` of them have come, in the browser that waits for it."""
    owner.has_heading("Check your email")
    owner.page.goto(link_to(mailbox, owner.email, count))
    owner.press("Yes, sign in")


def set_up(owner: Person, mailbox: Mailbox) -> str:
    """Sign in for the first time, which sets TOTP up; return its key."""
    owner.give_password("/platform")
    open_link(owner, mailbox, 1)
    key = owner.page.locator("#key").inner_text().replace(" ", "")
    owner.page.get_by_label("Enter the 6-digit code").fill(code_of(owner.own, owner.email, key))
    owner.press("Turn on")
    owner.follow("I’ve saved my codes")
    owner.is_at("/platform")
    return key


def add(owner: Person) -> None:
    owner.open("/me/security/passkeys")
    owner.press("Add passkey")
    owner.is_at("/me/security?done=passkey-added&next=/")


def with_keys(person: MakePerson, mailbox: Mailbox, email: str) -> tuple[Person, str]:
    """An owner who has TOTP and a passkey, and has signed out; and the key of TOTP."""
    owner = person(email)
    owner.plug_in(transport="usb")
    key = set_up(owner, mailbox)
    add(owner)
    owner.context.clear_cookies()
    owner.without_autofill()
    return owner, key


def test_password_passkey_and_link_are_all_asked_for(person: MakePerson, mailbox: Mailbox) -> None:
    owner, _ = with_keys(person, mailbox, OWNERS[0])
    owner.give_password("/platform#users")
    owner.press("Use passkey")
    owner.has_heading("Check your email")
    other = owner.context.new_page()
    other.goto(f"{owner.own.public_url}/platform")
    expect(other.get_by_role("heading", level=1)).to_have_text("Sign in")
    open_link(owner, mailbox, 2)
    owner.is_at("/platform#users")


def test_totp_may_stand_for_the_passkey_and_nothing_for_the_link(person: MakePerson, mailbox: Mailbox) -> None:
    owner, key = with_keys(person, mailbox, OWNERS[1])
    owner.give_password("/platform")
    owner.follow("Use your authenticator app instead")
    owner.page.get_by_label("6-digit code").fill(code_of(owner.own, owner.email, key))
    owner.press("Continue")
    owner.has_heading("Check your email")
    open_link(owner, mailbox, 2)
    owner.is_at("/platform")


def test_one_touch_does_not_stand_for_an_owners_password(person: MakePerson, mailbox: Mailbox) -> None:
    owner, _ = with_keys(person, mailbox, OWNERS[2])
    owner.open("/platform")
    owner.press("Use a passkey")
    owner.is_told("Your account needs your password first.")
    owner.follow("Back to sign-in")
    owner.page.get_by_label("Email").fill(owner.email)
    owner.page.get_by_label("Password").fill(PASSWORD)
    owner.press("Sign in")
    owner.press("Use passkey")
    open_link(owner, mailbox, 2)
    owner.is_at("/platform")


def test_the_last_second_step_stays(person: MakePerson, mailbox: Mailbox) -> None:
    owner = person(OWNERS[3])
    owner.plug_in()
    set_up(owner, mailbox)
    add(owner)
    owner.open("/me/security")
    owner.follow("Turn off")
    owner.has_heading("Turn off the authenticator app?")
    owner.press("Turn off")
    expect(owner.page.get_by_role("region", name="Authenticator app").get_by_text("Off")).to_be_visible()
    owner.follow("Change Passkey")
    expect(owner.page.get_by_text("Platform owners always need a second step.")).to_be_visible()
    expect(owner.page.get_by_role("button", name="Remove")).to_have_count(0)
    expect(owner.page.get_by_role("link", name="Back to security settings")).to_be_visible()
    owner.plug_in(transport="usb")
    owner.follow("Add a passkey")
    add(owner)
    owner.page.get_by_role("link", name="Change Passkey").first.click()
    owner.press("Remove")
    expect(owner.page.get_by_role("status")).to_contain_text("Passkey removed.")
    expect(owner.page.get_by_role("link", name="Change Passkey")).to_have_count(1)


def test_who_becomes_an_owner_after_one_touch_gives_password_and_link(
    own: Gateway, person: MakePerson, mailbox: Mailbox
) -> None:
    erin, _ = with_passkey(person, "crowd46@acme.example")
    erin.open("/whoami")
    erin.is_at("/whoami")
    own.reload("owners = [", f'owners = ["{erin.email}", ')
    erin.without_autofill()
    erin.open("/platform")
    erin.has_heading("Confirm it’s you")
    erin.page.get_by_label("Password").fill(PASSWORD)
    erin.press("Continue")
    erin.has_heading("Confirm by email")
    erin.press("Send link")
    open_link(erin, mailbox, 1)
    erin.is_at("/platform")
