"""Second steps that are demanded, or chosen, as people meet them, in a real Chromium with virtual authenticators."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyotp
import pytest
from playwright.sync_api import Page, expect

from tests.passkeys.conftest import MakePerson, Person, with_passkey
from tests.support.gateway import Gateway
from tests.support.mail import Mailbox, links_in


@pytest.fixture
def demand(own: Gateway) -> Iterator[Demand]:
    """Demands something of one person: the others of the company have to go on."""
    demand = Demand(own)
    yield demand
    own.write("UPDATE tenants SET factor_policy = ''")
    own.announce()


class Demand:
    def __init__(self, own: Gateway) -> None:
        self.own = own

    def __call__(self, policy: str) -> None:
        self.own.write("UPDATE tenants SET factor_policy = :policy WHERE slug = 'acme'", policy=policy)
        self.own.announce()


def sees(page: Page, heading: str) -> None:
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()


def save_codes(erin: Person) -> list[str]:
    """Read the backup codes, and go on."""
    sees(erin.page, "Save your backup codes")
    erin.page.wait_for_load_state()  # so far, only the heading is certain to be there
    codes = erin.page.locator("li code").all_text_contents()
    erin.page.get_by_role("link", name=re.compile("Continue|Done|saved")).click()
    return codes


def set_up_app(erin: Person) -> None:
    """Set an authenticator app up on the page that is open."""
    key = erin.page.locator("#key").inner_text().replace(" ", "")
    erin.page.get_by_label("Enter the 6-digit code from the app").fill(pyotp.TOTP(key).now())
    erin.press("Turn on")


def type_backup_code(erin: Person, code: str) -> None:
    erin.page.get_by_role("link", name="Can’t use your passkey? Use a backup code").click()
    erin.page.get_by_label("Backup code").fill(code)
    erin.press("Continue")


def choose_only_passkeys(erin: Person) -> None:
    erin.open("/me/security")
    erin.page.get_by_role("link", name="Accept only passkeys").click()
    erin.press("Accept only passkeys")
    expect(erin.page.get_by_role("status")).to_contain_text("only your passkeys are accepted")


def test_a_demanded_second_step_may_be_a_passkey(person: MakePerson, demand: Demand) -> None:
    erin = person("crowd30@acme.example")
    erin.plug_in()
    demand("employee=required")
    erin.give_password("/whoami?week=1")
    sees(erin.page, "Set up an authenticator app")
    erin.page.get_by_role("link", name="Use a passkey instead").click()
    erin.press("Add passkey")
    save_codes(erin)
    erin.is_at("/whoami?week=1")


def test_a_demanded_second_step_may_be_an_app_after_all(person: MakePerson, demand: Demand) -> None:
    erin = person("crowd31@acme.example")
    demand("employee=required")
    erin.give_password("/whoami?week=2")
    erin.page.get_by_role("link", name="Use a passkey instead").click()
    erin.page.get_by_role("link", name="Use an authenticator app instead").click()
    set_up_app(erin)
    save_codes(erin)
    erin.is_at("/whoami?week=2")


def test_somebody_who_is_signed_in_is_led_to_the_passkey_and_back(person: MakePerson, demand: Demand) -> None:
    erin = person("crowd32@acme.example")
    erin.plug_in(transport="usb", hasUserVerification=False)
    erin.give_password("/whoami")
    erin.is_at("/whoami")
    demand("employee=phishing_resistant")
    erin.open("/whoami?week=3")
    sees(erin.page, "Add a passkey")
    expect(erin.page.get_by_role("link", name="Use an authenticator app instead")).to_have_count(0)
    erin.press("Add passkey")
    save_codes(erin)
    erin.is_at("/whoami?week=3")


def test_somebody_with_an_app_proves_it_before_the_demanded_passkey_is_added(
    person: MakePerson, demand: Demand
) -> None:
    erin = person("crowd33@acme.example")
    erin.plug_in()
    erin.give_password("/me/security/totp")
    set_up_app(erin)
    save_codes(erin)
    erin.context.clear_cookies()
    demand("employee=phishing_resistant")
    erin.give_password("/whoami")
    expect(erin.page.get_by_label("6-digit code from your authenticator app")).to_be_visible()
    erin.page.get_by_role("link", name=re.compile("backup code")).first.click()
    expect(erin.page.get_by_label("Backup code")).to_be_visible()


def test_only_passkeys_leaves_no_other_way_on_the_page(person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd34@acme.example", transport="usb", hasUserVerification=False)
    erin.give_password("/me/security")
    erin.press("Use passkey")
    erin.is_at("/me/security")
    erin.open("/me/security/totp")
    set_up_app(erin)
    save_codes(erin)
    choose_only_passkeys(erin)
    erin.context.clear_cookies()
    erin.give_password("/whoami")
    sees(erin.page, "Use your passkey")
    expect(erin.page.get_by_role("link", name="authenticator app")).to_have_count(0)
    erin.open("/login/totp?next=/whoami")
    sees(erin.page, "Use your passkey")
    erin.press("Use passkey")
    erin.is_at("/whoami")


def test_a_lost_passkey_is_replaced(person: MakePerson, mailbox: Mailbox) -> None:
    erin = person("crowd35@acme.example")
    lost = erin.plug_in(transport="usb", hasUserVerification=False)
    erin.give_password("/me/security/passkeys")
    erin.press("Add passkey")
    codes = save_codes(erin)
    choose_only_passkeys(erin)
    erin.context.clear_cookies()
    erin.give_up(lost)
    erin.plug_in()
    erin.give_password("/whoami?lost")
    type_backup_code(erin, codes[0])
    sees(erin.page, "Check your email")
    erin.page.goto(links_in(mailbox.wait_for(erin.email, "sign-in link"))[0])
    erin.page.get_by_role("main").get_by_role("button").first.click()
    sees(erin.page, "Add a passkey")
    expect(erin.page.get_by_role("link", name="Found your passkey? Use it instead")).to_be_visible()
    erin.press("Add passkey")
    erin.is_at("/whoami?lost")


def test_other_ways_are_accepted_again(person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd36@acme.example")
    erin.without_autofill()
    erin.open("/me/security")
    erin.press("Use a passkey")
    erin.is_at("/me/security")
    choose_only_passkeys(erin)
    erin.page.get_by_role("link", name="Accept other ways again").click()
    erin.press("Accept other ways")
    expect(erin.page.get_by_role("status")).to_contain_text("accepted again")


def test_the_only_passkey_without_backup_codes_is_not_enough(own: Gateway, person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd37@acme.example")
    erin.without_autofill()
    own.write("DELETE FROM backup_codes WHERE account = (SELECT id FROM accounts WHERE identifier = :w)", w=erin.email)
    erin.open("/me/security")
    erin.press("Use a passkey")
    erin.is_at("/me/security")
    erin.page.get_by_role("link", name="Accept only passkeys").click()
    sees(erin.page, "Add a second passkey first")


def test_after_a_reset_somebody_may_choose_a_passkey_again(own: Gateway, person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd38@acme.example")
    erin.without_autofill()
    adam = person("adam@acme.example")
    adam.give_password("/admin/accounts?q=crowd38")
    adam.page.get_by_role("link", name="Crowd 38").click()
    adam.page.get_by_role("link", name=re.compile("Reset two-step verification")).click()
    adam.press("Reset")
    expect(adam.page.get_by_role("status").first).to_be_visible()
    erin.give_password("/whoami?again")
    erin.page.get_by_role("link", name="Use a passkey instead").click()
    expect(erin.page.get_by_role("button", name="Add passkey")).to_be_visible()


def test_an_administrator_demands_it_and_sees_how_many_people_lack_it(own: Gateway, person: MakePerson) -> None:
    adam = person("adam@acme.example")
    adam.give_password("/admin/accounts")
    adam.page.get_by_role("link", name="Sign-in requirements").click()
    adam.page.get_by_label("Manager").select_option(label="Passkey")
    adam.press("Continue")
    sees(adam.page, "Save these requirements?")
    expect(adam.page.get_by_text("1 of")).to_be_visible()
    adam.press("Save")
    expect(adam.page.get_by_role("status")).to_contain_text("apply from now on")
    assert own.write("SELECT factor_policy FROM tenants WHERE slug = 'acme'") == [("manager=phishing_resistant",)]
    own.write("UPDATE tenants SET factor_policy = ''")
