"""Signing in with more than a password, as a person does it: with a phone, with paper, with a mail."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from gateway.factors.totp.codes import PERIOD
from gateway.wire.cookies import ZONE_COOKIE
from tests.journeys.conftest import OWNERS, Site
from tests.support.clock import today
from tests.support.gateway import PASSWORD
from tests.support.person import Person, code_of, key_on, wrong_code
from tests.support.raw import get
from tests.support.visitor import Visitor, link_to

MakeContext = Callable[..., BrowserContext]


@pytest.fixture
def profile(browser: Browser) -> Iterator[MakeContext]:
    """Make fresh browser profiles, as many as a test needs."""
    made: list[BrowserContext] = []

    def make(**options: bool) -> BrowserContext:
        made.append(browser.new_context(ignore_https_errors=True, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for context in made:
        context.close()


def visitor(site: Site, context: BrowserContext, email: str) -> Visitor:
    return Visitor(site.gateway, site.mailbox, context, email)


def enrolled(site: Site, context: BrowserContext, email: str) -> Visitor:
    """Somebody who has set TOTP up and is signed in."""
    person = visitor(site, context, email)
    person.give_password("/me/security/totp")
    person.set_up()
    return person


def owner(site: Site, context: BrowserContext, email: str, links: int = 1) -> Visitor:
    """An owner who has all three factors and is signed in."""
    person = visitor(site, context, email)
    person.give_password()
    person.page.goto(person.link(links))
    person.press("Yes, sign in")
    person.set_up()
    person.keep_codes()
    person.is_in()
    return person


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_member_sets_totp_up_by_the_picture_and_signs_in_with_phone_and_paper(
    site: Site, profile: MakeContext, scripts: bool
) -> None:
    first = visitor(site, profile(java_script_enabled=scripts), f"crowd{int(scripts)}@acme.example")
    first.give_password("/me/security")
    first.page.get_by_role("link", name="Set up").click()
    expect(first.page.get_by_role("img", name=re.compile("QR code"))).to_be_visible()
    first.set_up()
    assert len(set(first.codes)) == 8
    assert all(re.fullmatch(r"[A-HJ-NP-Z2-9]{5}-[A-HJ-NP-Z2-9]{5}", code) for code in first.codes)
    first.keep_codes()
    expect(first.page.get_by_role("status")).to_contain_text("Two-step verification is on")
    site.mailbox.wait_for(first.email, "turned on")

    phone = first.in_another(profile(java_script_enabled=scripts))
    there = "/whoami?week=47" + ("#friday" if scripts else "")
    phone.give_password(there)
    code = phone.new_code()
    phone.give_code(f"{code[:3]} {code[3:]}")
    phone.page.wait_for_url(f"{site.url}{there}")
    phone.is_in()

    paper = first.in_another(profile(java_script_enabled=scripts))
    paper.give_password()
    paper.page.get_by_role("link", name="Lost your phone and your backup codes?").click()
    expect(paper.page.get_by_role("heading", name="Can’t use any of these?")).to_be_in_viewport()
    steps = paper.page.locator("#lost-phone li")
    expect(steps.nth(0)).to_contain_text("Look for your backup codes")
    expect(steps.nth(2)).to_contain_text(f"They need only your email address, {first.email}.")
    paper.page.go_back()
    paper.page.get_by_role("link", name="Can’t use your phone? Use a backup code").click()
    paper.give_backup_code(first.codes[3].lower())
    paper.is_in()
    paper.open("/me/security")
    expect(paper.page.get_by_text("7 codes left.")).to_be_visible()
    site.mailbox.wait_for(first.email, "backup code was used")

    first.press("Sign out all other devices")
    expect(first.page.get_by_role("status")).to_contain_text("signed out all other devices")
    phone.open("/whoami")
    phone.has_heading("Sign in")


def test_the_key_and_the_link_for_phones_say_what_the_picture_says(site: Site, context: BrowserContext) -> None:
    person = visitor(site, context, "crowd2@acme.example")
    person.give_password("/me/security/totp")
    person.scan()
    key = person.page.locator("#key").inner_text()
    assert re.fullmatch(r"([A-Z2-7]{4} ){7}[A-Z2-7]{4}", key)
    assert key.replace(" ", "") == person.key
    address = person.page.get_by_role("link", name="On your phone?").get_attribute("href") or ""
    assert address.startswith("otpauth://totp/")
    assert f"secret={person.key}" in address
    code = person.page.get_by_label("Enter the 6-digit code")
    expect(code).to_have_attribute("inputmode", "numeric")
    expect(code).to_have_attribute("autocomplete", "one-time-code")
    code.fill(wrong_code(person.key))
    person.press("Turn on")
    person.is_refused("If you scanned a different QR code earlier")
    assert person.page.locator("#key").inner_text() == key
    person.open("/me/security")
    expect(person.page.get_by_role("link", name="Set up")).to_be_visible()


def test_backup_codes_can_be_copied_kept_as_a_file_and_printed(site: Site, profile: MakeContext) -> None:
    context = profile()
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.url)
    context.add_init_script("window.print = () => { document.title = 'printed'; };")
    day_before, person = today(), enrolled(site, context, "crowd3@acme.example")
    person.press("Copy")
    expect(person.page.get_by_role("button", name="Copied")).to_be_visible()
    assert person.page.evaluate("navigator.clipboard.readText()").split() == person.codes
    with person.page.expect_download() as waiting:
        person.page.get_by_role("link", name="Download").click()
    assert waiting.value.suggested_filename == "backup-codes-app.example.com-crowd3@acme.example.txt"
    head, _, codes = Path(waiting.value.path()).read_bytes().decode().rpartition("\r\n\r\n")
    assert codes.split("\r\n") == [*person.codes, ""]
    for said in ("Site: https://app.example.com", f"Account: {person.email}", "works once"):
        assert said in head
    assert any(f"Created: {day}" in head for day in (day_before, today()))
    person.press("Print")
    expect(person.page).to_have_title("printed")
    person.page.emulate_media(media="print")
    expect(person.page.locator("#codes")).to_be_visible()
    for hidden in ("nav", ".row"):
        expect(person.page.locator(hidden).first).to_be_hidden()
    expect(person.page.locator("main")).to_contain_text(person.email)
    assert len(re.findall(rb"/Type\s*/Page\b", person.page.pdf(format="A4"))) == 1
    person.page.emulate_media(media="screen")

    person.open("/me/security/codes")
    person.press("Create new codes")
    newer = person.page.locator("#codes code").all_inner_texts()
    assert not set(newer) & set(person.codes)
    other = person.in_another(profile())
    other.give_password("/login/backup?next=/whoami")
    other.open("/login/backup?next=/whoami")
    other.give_backup_code(person.codes[0])
    other.is_refused("Incorrect code.")
    other.give_backup_code(newer[0])
    other.is_in()


def test_backup_codes_can_be_kept_as_a_file_without_scripts(site: Site, profile: MakeContext) -> None:
    email = "o'neil&co@acme.example"
    rename = "UPDATE accounts SET identifier = :email WHERE identifier = 'crowd30@acme.example'"
    site.gateway.write(rename, email=email)
    person = enrolled(site, profile(java_script_enabled=False), email)
    expect(person.page.get_by_role("button", name="Copy")).to_be_hidden()
    with person.page.expect_download() as waiting:
        person.page.get_by_role("link", name="Download").click()
    assert waiting.value.suggested_filename == "backup-codes-app.example.com-o-neil-co@acme.example.txt"
    text = Path(waiting.value.path()).read_text()
    assert f"Account: {email}\n" in text
    assert text.split()[-8:] == person.codes


def late_code(key: str) -> str:
    """Return a code of some minutes ago that is none of those that are good now."""
    codes = [pyotp.TOTP(key).at(time.time() + step * PERIOD) for step in range(-20, 4)]
    return next(code for code in codes[:10] if code not in codes[-6:])


def test_wrong_late_and_reused_codes_say_what_they_are(site: Site, profile: MakeContext) -> None:
    person = enrolled(site, profile(), "crowd4@acme.example")
    other = person.in_another(profile())
    other.give_password()
    other.give_code(wrong_code(person.key))
    other.is_refused("Incorrect code.")
    expect(other.page.get_by_role("alert")).to_be_focused()
    other.give_code(late_code(person.key))
    other.is_refused("Your phone’s clock is")
    code = other.new_code()
    other.give_code(code)
    other.is_in()
    third = person.in_another(profile())
    third.give_password()
    third.give_code(code)
    third.is_refused("already been used")
    third.page.get_by_role("link", name="Can’t use your phone? Use a backup code").click()
    third.give_backup_code("AAAAA-AAAAA")
    third.is_refused("Incorrect code.")
    third.give_backup_code(person.codes[0])
    third.is_in()
    fourth = person.in_another(profile())
    fourth.give_password("/login/backup?next=/whoami")
    fourth.open("/login/backup?next=/whoami")
    fourth.give_backup_code(person.codes[0])
    fourth.is_refused("already been used")
    fourth.page.get_by_role("button", name="Use a different account").click()
    fourth.has_heading("Sign in")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_an_owner_sets_totp_up_first_and_signs_in_with_the_link_in_the_same_browser(
    site: Site, profile: MakeContext, scripts: bool
) -> None:
    email = OWNERS[int(scripts)]
    person = visitor(site, profile(java_script_enabled=scripts), email)
    person.give_password("/platform")
    person.has_heading("Check your email")
    person.open("/platform")
    person.has_heading("Sign in")
    person.open("/login/link?next=/platform")
    link = person.link(1)
    person.page.goto(link)
    person.press("Yes, sign in")
    person.has_heading("Set up an authenticator app")
    person.open("/platform")
    person.has_heading("Sign in")
    person.open("/login/totp?next=/platform")
    person.set_up()
    person.keep_codes()
    person.has_heading("Platform")

    again = person.in_another(profile(java_script_enabled=scripts))
    again.give_password("/platform")
    again.give_code()
    again.has_heading("Check your email")
    if not scripts:
        again.press("I’ve opened the link")
        expect(again.page.get_by_text("You haven’t opened the link in this browser yet.")).to_be_visible()
    waiting, again.page = again.page, again.context.new_page()
    again.page.goto(again.link(2))
    again.press("Yes, sign in")
    again.has_heading("Platform")
    if not scripts:
        waiting.get_by_role("button", name="I’ve opened the link").click()
    expect(waiting.get_by_role("heading", level=1)).to_have_text("Platform")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_an_owner_opens_the_link_in_another_browser_and_types_its_code(
    site: Site, profile: MakeContext, scripts: bool
) -> None:
    person = owner(site, profile(), OWNERS[2 + int(scripts)])
    again = person.in_another(profile(java_script_enabled=scripts))
    again.give_password("/platform")
    again.give_code()
    phone = profile(java_script_enabled=scripts)
    shown = phone.new_page()
    shown.goto(again.link(2))
    expect(shown.get_by_role("heading", level=1)).to_have_text("Enter this code where you’re signing in")
    code = shown.locator("#code").inner_text()
    again.page.get_by_label("Opened it on another device?").fill("AAAA-AAAA")
    again.press("Continue with code")
    again.is_refused("Incorrect code.")
    again.page.get_by_label("Opened it on another device?").fill(code.lower())
    again.press("Continue with code")
    again.has_heading("Platform")
    assert names_of_cookies(phone) <= {ZONE_COOKIE.decode()}
    shown.goto(f"{site.url}/whoami")
    expect(shown.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_links_that_are_not_good_any_more_lead_back(site: Site, profile: MakeContext) -> None:
    person = owner(site, profile(), OWNERS[4])
    again = person.in_another(profile())
    again.give_password("/platform")
    again.give_code()
    first = again.link(2)
    again.press("Send a new link")
    expect(again.page.get_by_role("status")).to_contain_text("We’ve sent a new link")
    second = again.link(3)
    again.page.goto(first)
    again.has_heading("This link has been replaced by a newer one")
    again.page.get_by_role("link", name="Back to sign-in").click()
    again.has_heading("Check your email")

    old = "UPDATE magic_links SET created_at = created_at - 601 WHERE superseded_at IS NULL AND used_at IS NULL"
    site.gateway.write(old)
    again.page.goto(second)
    again.has_heading("This link has expired")
    again.page.get_by_role("link", name="Back to sign-in").click()
    again.has_heading("Confirm by email")
    again.press("Send link")
    third = again.link(4)

    again.page.goto(third)
    again.press("Yes, sign in")
    again.has_heading("Platform")
    again.page.goto(third)
    again.has_heading("This link has already been used")
    again.page.get_by_role("link", name="Continue").click()
    stranger = profile().new_page()
    stranger.goto(third)
    expect(stranger.get_by_role("heading", level=1)).to_have_text("This link has already been used")
    stranger.get_by_role("link", name="Sign in").last.click()
    expect(stranger.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_the_shell_gives_the_link_when_no_mail_can_be_sent(site: Site, profile: MakeContext) -> None:
    site.mailbox.stop()
    try:
        person = visitor(site, profile(), OWNERS[5])
        person.give_password("/platform")
        expect(person.page.get_by_role("alert")).to_contain_text("We couldn’t send the email")
        made = site.gateway.cli("account", "unlock", "--email", person.email, "--one-time-link", "--confirm")
        person.page.goto(re.findall(r"https://\S+", made.stdout)[0])
        person.press("Yes, sign in")
        person.set_up()
        person.keep_codes()
        person.has_heading("Platform")
    finally:
        site.mailbox.start()


def test_who_becomes_an_owner_is_asked_for_just_what_is_missing(site: Site, profile: MakeContext) -> None:
    person = visitor(site, profile(), "crowd5@acme.example")
    person.give_password()
    person.is_in()
    site.gateway.reload("owners = [", f'owners = ["{person.email}", ')
    person.open("/whoami")
    person.has_heading("Confirm by email")
    person.press("Send link")
    waiting, person.page = person.page, person.context.new_page()
    person.page.goto(person.link(1))
    person.press("Yes, sign in")
    expect(waiting.get_by_role("heading", level=1)).to_have_text("Set up an authenticator app")
    person.has_heading("Set up an authenticator app")
    person.set_up()
    person.keep_codes()
    person.is_in()
    person.open("/platform")
    person.has_heading("Platform")
    site.gateway.reload(f'"{person.email}", ', "")
    person.open("/whoami")
    person.is_in()
    person.open("/platform")
    person.has_heading("You don’t have access to this page.")
    expect(person.page.get_by_role("link", name="Your account")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_form_that_was_sent_too_late_arrives(site: Site, profile: MakeContext, scripts: bool) -> None:
    person = enrolled(site, profile(java_script_enabled=scripts), f"crowd{6 + int(scripts)}@acme.example")
    person.open("/timesheets")
    person.page.get_by_label("Project").fill("Acme <rollout>")
    person.page.get_by_label("Hours").fill("6½")
    forget_who_was_seen(site)
    site.gateway.write(
        "UPDATE sessions SET seen_at = seen_at - 7 * 86400 - 60 WHERE account = "
        "(SELECT id FROM accounts WHERE identifier = :email)",
        email=person.email,
    )
    person.press("Send")
    person.has_heading("Sign in")
    person.page.get_by_label("Email").fill(person.email)
    person.page.get_by_label("Password").fill(PASSWORD)
    person.press("Sign in")
    person.give_code()
    person.has_heading("We saved your form")
    for shown in ("Acme <rollout>", "6½"):
        expect(person.page.get_by_text(shown)).to_be_visible()
    person.press("Send")
    expect(person.page.locator("#received")).to_contain_text("Received 6½ hours on Acme <rollout>")
    expect(person.page).to_have_url(f"{site.url}/timesheets")
    person.page.get_by_label("Project").fill("The next")
    person.page.get_by_label("Hours").fill("2")
    person.press("Send")
    expect(person.page.locator("#received")).to_contain_text("Received 2 hours on The next")


def forget_who_was_seen(site: Site) -> None:
    """Have other workers serve: these remember that the session was in use, whatever the store is changed to."""
    before = set(site.gateway.workers())
    site.gateway.reload("public = [", "public = [")
    until = time.monotonic() + 120
    while before & set(site.gateway.workers()):
        assert time.monotonic() < until
        time.sleep(0.05)


def names_of_cookies(context: BrowserContext) -> set[str]:
    return {cookie.get("name", "") for cookie in context.cookies()}


def scan(site: Site, page: Page, link: str) -> None:
    """Do with a link what mail scanners do, and see that it signed nobody in."""
    path = link.removeprefix(site.url)
    for method in ("HEAD", "GET"):
        assert site.gateway.exchange(get(path, "User-Agent: SafeLinks/1.0", method=method)).status == 200
    pressed = page.locator("a, button, input[type=submit]")
    page.goto(link, wait_until="domcontentloaded")
    for at in range(pressed.count()):
        if at > 0:
            page.goto(link, wait_until="domcontentloaded")
        with page.expect_event("framenavigated"):
            pressed.nth(at).evaluate("element => element.click()")
    assert names_of_cookies(page.context) <= {ZONE_COOKIE.decode()}


def test_a_scanner_on_twenty_links_gets_no_session_and_the_people_get_in(site: Site, context: BrowserContext) -> None:
    page = context.new_page()
    site.mailbox.mails.clear()
    emails = [f"crowd{n}@acme.example" for n in range(20, 30)]
    site.gateway.reload("owners = [", "owners = [" + "".join(f'"{email}", ' for email in emails))
    for email in emails:
        person = Person(site.gateway, email)
        person.give_password("/platform")
        link = link_to(site.mailbox, email, 1)
        scan(site, page, link)
        key = key_on(person.send(link.removeprefix(site.url), {}, follow=True))
        person.submit("/login/totp", code=code_of(site.gateway, email, key))
        assert person.open("/platform").status == 200
        again = Person(site.gateway, email, source="127.0.0.3")
        again.give_password("/platform")
        again.submit("/login/totp", code=code_of(site.gateway, email, key))
        link = link_to(site.mailbox, email, 2)
        scan(site, page, link)
        again.send(link.removeprefix(site.url), {})
        assert again.open("/platform").status == 200
