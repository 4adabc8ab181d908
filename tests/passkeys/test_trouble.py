"""What goes wrong around a passkey: each has its sentence and a next step, and nobody gets in by it."""

from __future__ import annotations

from playwright.sync_api import Browser, Route, expect

from tests.passkeys.conftest import MakePerson, Person, with_passkey
from tests.support.gateway import PASSWORD, Gateway
from tests.support.mail import Mailbox

MINE = "(SELECT id FROM accounts WHERE identifier = :who)"


def ready(person: MakePerson, email: str, **options: object) -> tuple[Person, str]:
    """Somebody with a passkey, who is asked for it after the password."""
    erin, authenticator = with_passkey(person, email, **options)
    erin.without_autofill()
    erin.sign_in()
    erin.open("/login/passkey?next=/whoami")
    return erin, authenticator


# Cancelled, and too late.


def test_who_cancels_the_second_step_tries_again(person: MakePerson) -> None:
    erin, laptop = ready(person, "crowd1@acme.example")
    erin.tell(laptop, "setUserVerified", isUserVerified=False)
    erin.press("Use passkey")
    erin.is_refused()
    erin.tell(laptop, "setUserVerified", isUserVerified=True)
    erin.press("Use passkey")
    erin.is_at("/whoami")


def test_who_cancels_at_the_sign_in_page_types_the_password(person: MakePerson) -> None:
    erin, laptop = with_passkey(person, "crowd2@acme.example")
    erin.without_autofill()
    erin.tell(laptop, "setUserVerified", isUserVerified=False)
    erin.open("/whoami")
    erin.press("Use a passkey")
    erin.is_refused()
    erin.page.get_by_label("Email").fill(erin.email)
    erin.page.get_by_label("Password").fill(PASSWORD)
    erin.press("Sign in")
    erin.has_heading("Use your passkey")


def test_who_cancels_adding_one_has_none(person: MakePerson) -> None:
    erin = person("crowd3@acme.example")
    laptop = erin.plug_in(isUserVerified=False)
    erin.sign_in()
    erin.open("/me/security/passkeys")
    erin.press("Add passkey")
    erin.is_refused()
    erin.follow("Back to security settings")
    expect(erin.page.get_by_role("region", name="Passkeys").get_by_text("No passkeys yet")).to_be_visible()
    assert erin.credentials(laptop) == []


def test_who_has_no_authenticator_at_hand_uses_a_backup_code(person: MakePerson) -> None:
    erin = person("crowd7@acme.example")
    laptop = erin.plug_in()
    erin.sign_in()
    erin.add_passkey()
    code = erin.page.locator("#codes code").first.inner_text()
    erin.context.clear_cookies()
    erin.give_up(laptop)
    erin.page.route("**/login/passkey/options", soon)
    erin.give_password()
    erin.press("Use passkey")
    erin.is_refused()
    erin.follow("Can’t use your passkey? Use a backup code")
    erin.page.get_by_label("Backup code").fill(code)
    erin.press("Continue")
    erin.is_at("/whoami")


def soon(route: Route) -> None:
    """Let the browser wait for an authenticator for a moment, and not for five minutes."""
    response = route.fetch()
    asked = response.json()
    asked["options"]["timeout"] = 100
    route.fulfill(response=response, json=asked)


# The passkey of somebody or something else.


def test_a_colleagues_passkey_in_the_same_laptop_is_not_asked_for(person: MakePerson) -> None:
    erin, laptop = with_passkey(person, "crowd8@acme.example")
    erin.without_autofill()
    erin.email = "crowd9@acme.example"
    erin.sign_in()
    erin.add_passkey()
    erin.context.clear_cookies()
    (mine,) = [each for each in erin.credentials(laptop) if each["userName"] == erin.email]
    erin.tell(laptop, "removeCredential", credentialId=mine["credentialId"])
    erin.give_password()
    erin.press("Use passkey")
    erin.is_refused()
    expect(erin.page.get_by_text(f"Signing in as {erin.email}")).to_be_visible()
    erin.press("Use a different account")
    erin.press("Use a passkey")
    erin.is_at("/whoami")
    erin.open("/me/security")
    expect(erin.page.get_by_text("crowd8@acme.example").first).to_be_visible()


def test_a_forged_signature_is_refused_and_leads_back(person: MakePerson) -> None:
    erin, laptop = with_passkey(person, "crowd10@acme.example")
    erin.without_autofill()
    erin.tell(laptop, "setResponseOverrideBits", isBogusSignature=True)
    erin.open("/whoami")
    erin.press("Use a passkey")
    erin.is_told("This passkey couldn’t be verified.")
    erin.follow("Back to sign-in")
    erin.tell(laptop, "setResponseOverrideBits", isBogusSignature=False)
    erin.press("Use a passkey")
    erin.is_at("/whoami")
    assert erin.events().count("login_failed") == 1


def test_an_authenticator_that_only_claims_to_verify_is_refused(person: MakePerson) -> None:
    erin, laptop = with_passkey(person, "crowd11@acme.example")
    erin.without_autofill()
    erin.tell(laptop, "setResponseOverrideBits", isBadUV=True)
    erin.open("/whoami")
    erin.press("Use a passkey")
    erin.is_told("This passkey couldn’t be verified.")


def test_one_that_may_suddenly_be_synced_is_refused(person: MakePerson) -> None:
    erin, laptop = ready(person, "crowd12@acme.example")
    (credential,) = erin.credentials(laptop)
    erin.tell(
        laptop, "setCredentialProperties", credentialId=credential["credentialId"], backupEligibility=True,
        backupState=True,
    )  # fmt: skip
    erin.press("Use passkey")
    erin.is_told("That passkey doesn’t belong to this account, or has been removed.")


def test_a_counter_that_runs_backwards_is_mailed_and_lets_in(person: MakePerson, mailbox: Mailbox) -> None:
    erin, laptop = ready(person, "crowd13@acme.example", transport="usb")
    (credential,) = erin.credentials(laptop)
    erin.tell(laptop, "removeCredential", credentialId=credential["credentialId"])
    erin.tell(laptop, "addCredential", credential=credential | {"signCount": 0})
    erin.press("Use passkey")
    erin.is_at("/whoami")
    mailbox.wait_for(erin.email, "may have been copied")
    assert "passkey_went_back" in erin.events()


# What changes while the browser asks.


def test_an_attempt_that_ends_during_the_ceremony_begins_anew(own: Gateway, person: MakePerson) -> None:
    erin, _ = ready(person, "crowd14@acme.example")

    def expire() -> None:
        own.write(f"UPDATE attempts SET started_at = 1 WHERE account = {MINE}", who=erin.email)

    erin.before("/login/passkey", expire)
    erin.press("Use passkey")
    erin.has_heading("Sign in")
    erin.press("Use a passkey")
    erin.is_at("/whoami")


def test_an_attempt_that_has_ended_says_so(own: Gateway, person: MakePerson) -> None:
    erin, _ = ready(person, "crowd15@acme.example")
    own.write(f"UPDATE attempts SET started_at = 1 WHERE account = {MINE}", who=erin.email)
    erin.press("Use passkey")
    erin.is_told(
        "This page is out of date: it was open for too long, or you’ve signed in elsewhere. Reload it and try again."
    )
    erin.page.reload()
    erin.has_heading("Sign in")


def test_a_passkey_that_is_removed_during_the_ceremony_is_unknown(own: Gateway, person: MakePerson) -> None:
    erin, _ = with_passkey(person, "crowd16@acme.example")
    erin.without_autofill()
    erin.open("/whoami")

    def remove() -> None:
        own.write(f"DELETE FROM passkeys WHERE account = {MINE}", who=erin.email)

    erin.before("/login/passkey/first", remove)
    erin.press("Use a passkey")
    erin.is_told("This passkey isn’t known here, or has been removed.")


def test_an_account_that_is_disabled_during_the_ceremony_stays_outside(own: Gateway, person: MakePerson) -> None:
    erin, _ = ready(person, "crowd17@acme.example")

    def disable() -> None:
        own.write("UPDATE accounts SET status = 'disabled' WHERE identifier = :who", who=erin.email)

    erin.before("/login/passkey", disable)
    erin.press("Use passkey")
    erin.has_heading("Sign in")


def test_nobody_of_a_suspended_tenant_comes_in(own: Gateway, person: MakePerson) -> None:
    olga, _ = with_passkey(person, "olga@beta.example")
    olga.without_autofill()
    own.write("UPDATE tenants SET status = 'suspended' WHERE slug = 'beta'")
    olga.open("/whoami")
    olga.press("Use a passkey")
    olga.is_told("This passkey couldn’t be verified.")
    own.write("UPDATE tenants SET status = 'active' WHERE slug = 'beta'")
    olga.follow("Back to sign-in")
    olga.press("Use a passkey")
    olga.is_at("/whoami")


def test_a_session_that_is_revoked_while_a_passkey_is_made_adds_none(own: Gateway, person: MakePerson) -> None:
    erin = person("crowd18@acme.example")
    erin.plug_in()
    erin.sign_in()
    erin.open("/me/security/passkeys")
    erin.without_autofill()

    def revoke() -> None:
        assert own.cli("session", "revoke", "--email", erin.email).returncode == 0

    erin.before("/me/security/passkeys", revoke)
    erin.press("Add passkey")
    erin.has_heading("Sign in")
    assert "passkey_added" not in erin.events()


def test_a_session_that_has_been_revoked_says_so(own: Gateway, person: MakePerson) -> None:
    erin = person("crowd19@acme.example")
    laptop = erin.plug_in()
    erin.sign_in()
    erin.open("/me/security/passkeys")
    erin.without_autofill()
    assert own.cli("session", "revoke", "--email", erin.email).returncode == 0
    erin.press("Add passkey")
    erin.is_told(
        "This page is out of date: it was open for too long, or you’ve signed in elsewhere. Reload it and try again."
    )
    assert erin.credentials(laptop) == []
    erin.page.reload()
    erin.has_heading("Sign in")


def test_a_proof_that_is_no_longer_fresh_is_asked_for_again(person: MakePerson) -> None:
    erin = person("crowd25@acme.example")
    erin.plug_in()
    erin.sign_in()
    erin.open("/me/security/passkeys")
    erin.age_proofs()
    erin.press("Add passkey")
    erin.is_told(
        "This page is out of date: it was open for too long, or you’ve signed in elsewhere. Reload it and try again."
    )
    erin.page.reload()
    erin.has_heading("Confirm it’s you")
    erin.page.get_by_label("Password").fill(PASSWORD)
    erin.press("Continue")
    erin.press("Add passkey")
    erin.has_heading("Save your backup codes")


# Tabs, the back button, and browsers without.


def test_the_second_of_two_tabs_goes_on_where_the_first_has_signed_in(person: MakePerson) -> None:
    erin, _ = ready(person, "crowd27@acme.example")
    other = erin.context.new_page()
    other.goto(f"{erin.own.public_url}/login/passkey?next=/whoami?tab=2")
    erin.page.bring_to_front()
    erin.press("Use passkey")
    erin.is_at("/whoami")
    other.bring_to_front()
    other.get_by_role("button", name="Use passkey").click()
    expect(other.get_by_role("alert")).to_contain_text("Reload it")
    other.reload()
    other.wait_for_url(f"{erin.own.public_url}/whoami?tab=2")


def test_the_back_button_leads_to_a_page_that_works(person: MakePerson) -> None:
    erin, laptop = with_passkey(person, "crowd28@acme.example")
    erin.without_autofill()
    erin.tell(laptop, "setUserVerified", isUserVerified=False)
    erin.give_password()
    erin.press("Use passkey")
    erin.is_refused()
    erin.page.go_back()
    erin.has_heading("Sign in")
    erin.tell(laptop, "setUserVerified", isUserVerified=True)
    erin.press("Use a passkey")
    erin.is_at("/whoami")
    erin.page.go_back()
    erin.has_heading("You’re signed in")
    erin.follow("Continue")
    erin.is_at("/whoami")


def test_without_scripts_no_button_is_shown_that_does_nothing(person: MakePerson, browser: Browser) -> None:
    erin, _ = with_passkey(person, "crowd29@acme.example")
    offers_what_works(erin, browser, has_scripts=False)


def test_without_webauthn_no_button_is_shown_that_does_nothing(person: MakePerson, browser: Browser) -> None:
    erin, _ = with_passkey(person, "crowd41@acme.example")
    offers_what_works(erin, browser, has_scripts=True)


def offers_what_works(erin: Person, browser: Browser, *, has_scripts: bool) -> None:
    other = browser.new_context(java_script_enabled=has_scripts)
    other.add_init_script("delete window.PublicKeyCredential")
    erin.page = other.new_page()
    erin.open("/login")
    expect(erin.page.get_by_role("button", name="passkey")).to_have_count(0)
    erin.give_password()
    erin.has_heading("Use your passkey")
    expect(erin.page.get_by_text("Your browser can’t use passkeys here.")).to_be_visible()
    expect(erin.page.get_by_role("button", name="passkey")).to_have_count(0)
    erin.follow("Can’t use your passkey? Use a backup code")
    expect(erin.page.get_by_label("Backup code")).to_be_visible()
    other.close()
