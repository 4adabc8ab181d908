"""Several passkeys, passkeys beside TOTP, and how both go again: by the person, or by an administrator."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from tests.passkeys.conftest import MakePerson, Person, with_passkey
from tests.support.gateway import Gateway
from tests.support.mail import Mailbox
from tests.support.person import code_of

MARK_OFFERS = """
  const get = navigator.credentials.get.bind(navigator.credentials);
  navigator.credentials.get = (options) => { document.documentElement.dataset.offered = ""; return get(options); };
"""


def add_another(erin: Person) -> None:
    """Add one, for which no codes are shown."""
    erin.open("/me/security/passkeys")
    erin.press("Add passkey")
    expect(erin.page.get_by_role("status")).to_contain_text("Passkey added.")


def add_totp(erin: Person) -> str:
    """Set TOTP up as the first second step; return its key."""
    erin.open("/me/security/totp")
    key = erin.page.locator("#key").inner_text().replace(" ", "")
    erin.page.get_by_label("Enter the 6-digit code").fill(code_of(erin.own, erin.email, key))
    erin.press("Turn on")
    erin.has_heading("Save your backup codes")
    return key


def give_code(erin: Person, key: str) -> None:
    erin.page.get_by_label("6-digit code").fill(code_of(erin.own, erin.email, key))
    erin.press("Continue")


def panel(erin: Person, name: str) -> Locator:
    return erin.page.get_by_role("region", name=name)


def with_two(person: MakePerson, email: str) -> tuple[Person, str]:
    """Somebody with a laptop's passkey and a security key, who has signed out; and the laptop's authenticator."""
    erin = person(email)
    laptop = erin.plug_in()
    erin.sign_in()
    erin.add_passkey()
    own = "account = (SELECT id FROM accounts WHERE identifier = :who)"
    erin.own.write(f"UPDATE passkeys SET name = 'Laptop' WHERE {own}", who=email)
    erin.plug_in(transport="usb")
    add_another(erin)
    expect(panel(erin, "Passkeys").get_by_role("link", name="Change Laptop")).to_be_visible()
    expect(panel(erin, "Passkeys").get_by_role("link", name="Change Passkey")).to_be_visible()
    erin.context.clear_cookies()
    erin.without_autofill()
    return erin, laptop


def test_the_security_key_signs_in_when_the_laptop_is_gone(person: MakePerson) -> None:
    erin, laptop = with_two(person, "crowd1@acme.example")
    erin.give_up(laptop)
    erin.open("/whoami")
    erin.press("Use a passkey")
    erin.is_at("/whoami")
    erin.context.clear_cookies()
    erin.give_password()
    erin.press("Use passkey")
    erin.is_at("/whoami")


def test_of_two_the_removed_one_is_unknown_and_the_other_still_good(person: MakePerson, mailbox: Mailbox) -> None:
    erin, laptop = with_two(person, "crowd2@acme.example")
    erin.give_password("/me/security")
    erin.press("Use passkey")
    erin.follow("Change Laptop")
    erin.page.get_by_label("Name").fill("Old laptop")
    erin.press("Rename")
    erin.follow("Change Old laptop")
    erin.press("Remove")
    mailbox.wait_for(erin.email, "passkey was removed")
    expect(panel(erin, "Backup codes")).to_be_visible()
    erin.context.clear_cookies()
    erin.open("/whoami")
    erin.give_up(laptop)
    erin.press("Use a passkey")
    erin.is_at("/whoami")
    erin.context.clear_cookies()
    erin.give_password()
    erin.has_heading("Use your passkey")


def test_totp_may_be_turned_off_once_there_is_a_passkey(person: MakePerson) -> None:
    erin = person("crowd7@acme.example")
    erin.plug_in(transport="usb")
    erin.sign_in()
    key = add_totp(erin)
    code = erin.page.locator("#codes code").first.inner_text()
    add_another(erin)
    expect(panel(erin, "Authenticator app").get_by_text("On", exact=True)).to_be_visible()
    erin.context.clear_cookies()
    erin.without_autofill()
    erin.give_password("/me/security")
    erin.follow("Use your authenticator app instead")
    give_code(erin, key)
    erin.follow("Turn off")
    expect(erin.page.get_by_text("You’ll sign in with your passkey.")).to_be_visible()
    erin.press("Turn off")
    expect(panel(erin, "Authenticator app").get_by_text("Off", exact=True)).to_be_visible()
    erin.context.clear_cookies()
    erin.give_password()
    erin.has_heading("Use your passkey")
    expect(erin.page.get_by_role("link", name="authenticator app")).to_have_count(0)
    erin.follow("Can’t use your passkey? Use a backup code")
    erin.page.get_by_label("Backup code").fill(code)
    erin.press("Continue")
    erin.is_at("/whoami")


def test_without_its_passkey_an_account_is_back_at_totp(person: MakePerson) -> None:
    erin = person("crowd8@acme.example")
    erin.plug_in(transport="usb")
    erin.without_autofill()
    erin.sign_in()
    key = add_totp(erin)
    add_another(erin)
    erin.follow("Change Passkey")
    erin.press("Remove")
    expect(panel(erin, "Backup codes")).to_be_visible()
    erin.context.clear_cookies()
    erin.give_password()
    give_code(erin, key)
    erin.is_at("/whoami")


def test_an_administrator_resets_somebody_who_has_lost_the_only_passkey(
    own: Gateway, person: MakePerson, mailbox: Mailbox
) -> None:
    erin, _ = with_passkey(person, "crowd9@acme.example")
    erin.without_autofill()
    adam = person("adam@acme.example")
    adam.sign_in()
    adam.open("/admin/accounts?q=crowd9@")
    adam.follow("Crowd 9")
    adam.follow("Reset two-step verification")
    adam.press("Reset")
    mailbox.wait_for(erin.email, "reset")
    erin.open("/whoami")
    erin.press("Use a passkey")
    erin.is_told("This passkey isn’t known here, or has been removed.")
    erin.give_password()
    erin.has_heading("Set up an authenticator app")


def open_offer(erin: Person, laptop: str) -> None:
    """Open the sign-in page, which offers the passkey where the email is typed; nobody takes it for now."""
    erin.tell(laptop, "setAutomaticPresenceSimulation", enabled=False)
    erin.context.add_init_script(MARK_OFFERS)
    erin.open("/whoami#friday")
    expect(erin.page.locator("html[data-offered]")).to_be_attached()
    erin.tell(laptop, "setAutomaticPresenceSimulation", enabled=True)


def test_an_offer_in_the_email_field_is_renewed_before_it_is_too_old(person: MakePerson) -> None:
    """Somebody opens the sign-in page, goes for lunch, and takes the passkey that is offered."""
    erin, laptop = with_passkey(person, "crowd10@acme.example")
    erin.page.clock.install()
    open_offer(erin, laptop)
    erin.page.clock.fast_forward(240_000)
    erin.is_at("/whoami#friday")


def test_the_button_ends_the_offer_in_the_email_field(person: MakePerson) -> None:
    """A browser answers one request at a time."""
    erin, laptop = with_passkey(person, "crowd12@acme.example")
    open_offer(erin, laptop)
    erin.press("Use a passkey")
    erin.is_at("/whoami#friday")


def test_a_narrow_screen_has_room_for_all_of_it(person: MakePerson) -> None:
    erin = person("crowd11@acme.example")
    erin.plug_in()
    erin.page.set_viewport_size({"width": 320, "height": 640})
    erin.sign_in()
    erin.open("/me/security/passkeys")
    fits(erin)
    erin.press("Add passkey")
    erin.has_heading("Save your backup codes")
    fits(erin)
    erin.follow("I’ve saved my codes")
    fits(erin)
    erin.context.clear_cookies()
    erin.without_autofill()
    erin.give_password()
    erin.has_heading("Use your passkey")
    fits(erin)
    erin.open("/whoami")
    fits(erin)
    erin.press("Use a passkey")
    erin.is_at("/whoami")


def fits(erin: Person) -> None:
    assert erin.page.evaluate("document.documentElement.scrollWidth") <= 320, erin.page.url
