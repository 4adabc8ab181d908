"""Signup, invitations, passwords, a new email and a file of sixty: a real browser, real mails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, TimeoutError, expect

from tests.journeys.conftest import Site
from tests.support.gateway import PASSWORD, PEOPLE
from tests.support.mail import Mailbox, links_in

NEW = "seven green kettles on a raft"


@pytest.fixture
def mailbox(site: Site) -> Mailbox:
    return site.mailbox


@pytest.fixture(params=["scripts", "no scripts"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page of a fresh profile, with JavaScript and without."""
    context = browser.new_context(ignore_https_errors=True, java_script_enabled=request.param == "scripts")
    yield context.new_page()
    context.close()


def link_to(mailbox: Mailbox, who: str, words: str, after: int = 0) -> str:
    return links_in(mailbox.wait_for(who, words, after + 1))[0]


def sign_in(page: Page, site: Site, email: str, password: str = PASSWORD, target: str = "/whoami") -> None:
    page.goto(f"{site.url}{target}")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def choose(page: Page, link: str, password: str = NEW) -> None:
    page.goto(link)
    page.get_by_label("New password").fill(password)
    page.get_by_role("button", name="Set password").click()


def go_on(page: Page, email: str, password: str) -> None:
    """Sign in on the page to which another one led, with the email filled in."""
    assert "@" not in page.url
    expect(page.get_by_label("Email")).to_have_value(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def another(page: Page) -> tuple[BrowserContext, Page]:
    browser = page.context.browser
    assert browser is not None
    context = browser.new_context(ignore_https_errors=True)
    return context, context.new_page()


def test_signing_up(page: Page, site: Site, mailbox: Mailbox) -> None:
    email = f"nora{len(mailbox.mails)}@acme.example"
    page.goto(f"{site.url}/reports/2026?q=7")
    page.get_by_label("Email").fill(email)
    page.get_by_role("button", name="Create an account").click()
    page.get_by_label("Full name").fill("Nora Field")
    expect(page.get_by_label("Work email")).to_have_value(email)
    page.get_by_label("New password").fill("nora field 2026")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("alert")).to_contain_text("your name")
    page.get_by_label("New password").fill(NEW)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading")).to_have_text("Check your email")
    link = link_to(mailbox, email, "")
    context, elsewhere = another(page)
    elsewhere.goto(link)
    expect(elsewhere.get_by_role("heading")).to_have_text("Confirm your email address")
    page.goto(link)
    page.get_by_label("Password").fill("nine purple anchors in the fog")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("alert")).to_contain_text("isn’t the password you chose")
    page.get_by_label("Password").fill(NEW)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("status")).to_contain_text("Your account is ready")
    elsewhere.get_by_label("Password").fill(NEW)
    elsewhere.get_by_role("button", name="Create account").click()
    expect(elsewhere.get_by_role("heading")).to_have_text("This link has already been used")
    context.close()
    go_on(page, email, NEW)
    page.wait_for_url(f"{site.url}/reports/2026?q=7")


def test_being_invited(page: Page, site: Site, mailbox: Mailbox) -> None:
    email = f"ivo{len(mailbox.mails)}@acme.example"
    context, admin = another(page)
    sign_in(admin, site, PEOPLE["admin"][0], target="/admin/accounts")
    admin.get_by_role("link", name="Invite a person").click()
    admin.get_by_label("Name").fill("Ivo Sand")
    admin.get_by_label("Email").fill(email)
    admin.get_by_label("Role").select_option("manager")
    admin.get_by_role("button", name="Send invitation").click()
    expect(admin.get_by_role("status")).to_contain_text("Invitation sent")
    first = link_to(mailbox, email, "invited you")
    admin.goto(f"{site.url}/admin/accounts?q={email}")
    admin.get_by_role("link", name="Ivo Sand").click()
    admin.get_by_role("button", name="Resend invitation").click()
    context.close()
    second = link_to(mailbox, email, "invited you", 1)
    page.goto(first)
    expect(page.get_by_role("heading")).to_have_text("This link has been replaced by a newer one")
    choose(page, f"{second}?next=/whoami")
    go_on(page, email, NEW)
    page.wait_for_url(f"{site.url}/whoami")
    page.goto(second)
    expect(page.get_by_role("heading")).to_have_text("This link has already been used")


def test_a_forgotten_password(page: Page, site: Site, mailbox: Mailbox, request: pytest.FixtureRequest) -> None:
    email = PEOPLE["manager"][0]
    before = len(mailbox.to(email, "Reset your"))
    page.goto(f"{site.url}/whoami?q=7")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill("one that is wrong")
    with page.expect_request("**/forgot-password") as asked:
        page.get_by_role("button", name="Forgot your password?").click()
    assert email.partition("@")[0] in (asked.value.post_data or "")
    is_scripted = request.node.callspec.params["page"] == "scripts"
    assert ("wrong" in (asked.value.post_data or "")) is not is_scripted  # a script leaves the password behind
    expect(page.get_by_label("Email")).to_have_value(email)
    page.get_by_role("link", name="Back to sign-in").click()
    expect(page.get_by_label("Email")).to_have_value(email)
    page.get_by_role("button", name="Forgot your password?").click()
    page.get_by_role("button", name="Send reset link").click()
    expect(page.get_by_role("heading")).to_have_text("Check your email")
    assert "@" not in page.url
    link = link_to(mailbox, email, "Reset your", before)
    context, elsewhere = another(page)
    choose(elsewhere, link, f"{NEW} {before}")
    expect(elsewhere.get_by_role("status")).to_contain_text("Your password has been set")
    go_on(elsewhere, email, f"{NEW} {before}")
    elsewhere.wait_for_url(f"{site.url}/whoami?q=7")
    context.close()
    sign_in(page, site, email, f"{NEW} {before}")
    page.wait_for_url(f"{site.url}/whoami")
    page.goto(link)
    expect(page.get_by_role("heading")).to_have_text("This link has already been used")
    expect(page.get_by_role("link", name="Continue")).to_be_visible()  # signed in: there is nothing left to do
    page.context.clear_cookies()
    page.goto(link)
    page.get_by_role("link", name="Send a new link").click()
    expect(page.get_by_label("Email")).to_be_visible()


def test_a_link_that_is_too_old(page: Page, site: Site, mailbox: Mailbox) -> None:
    email = PEOPLE["admin"][0]
    before = len(mailbox.to(email, "Reset your"))
    page.goto(f"{site.url}/forgot-password")
    page.get_by_label("Email").fill(email)
    page.get_by_role("button", name="Send reset link").click()
    link = link_to(mailbox, email, "Reset your", before)
    site.gateway.write("UPDATE mailed_links SET created_at = created_at - 3601")
    page.goto(link)
    expect(page.get_by_role("heading")).to_have_text("This link has expired")


def test_changing_the_password(page: Page, site: Site, request: pytest.FixtureRequest) -> None:
    email = "crowd30@acme.example" if request.node.callspec.params["page"] == "scripts" else "crowd31@acme.example"
    sign_in(page, site, email, target="/me/security")
    page.get_by_role("link", name="Change password").click()
    page.get_by_label("Current password").fill("not this one at all")
    page.get_by_label("New password").fill(NEW)
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("alert")).to_contain_text("current password is incorrect")
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill(NEW)
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("status")).to_contain_text("Password changed")
    page.goto(f"{site.url}/.well-known/change-password")
    page.wait_for_url(f"{site.url}/me/password")


def test_a_new_email(page: Page, site: Site, mailbox: Mailbox) -> None:
    """An admin asks, the new address confirms as the account, the old one approves, and takes it back in the end."""
    number = len(mailbox.mails)
    old, new = f"crowd{number % 30}@acme.example", f"renamed{number}@acme.example"
    sign_in(page, site, PEOPLE["admin"][0], target=f"/admin/accounts?q={old}")
    page.locator("tbody a").first.click()
    page.get_by_label("Email").fill(new)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("sent a link to both addresses")
    context, elsewhere = another(page)
    elsewhere.goto(link_to(mailbox, new, "Confirm"))
    expect(elsewhere.locator("main")).to_contain_text(old)
    elsewhere.get_by_label("Password of this account").fill(PASSWORD)
    elsewhere.get_by_role("button", name="Confirm").click()
    expect(elsewhere.get_by_role("heading", level=1)).to_have_text("Confirmed")
    elsewhere.goto(link_to(mailbox, old, "is to be changed"))
    elsewhere.get_by_role("button", name="Approve").click()
    expect(elsewhere.get_by_role("heading", level=1)).to_have_text("Email address changed")
    elsewhere.goto(link_to(mailbox, old, "was changed"))
    elsewhere.get_by_role("button", name="Undo the change").click()
    expect(elsewhere.locator("main")).to_contain_text(old)
    elsewhere.get_by_label("password", exact=False).first.fill("seven green kettles on a raft")
    elsewhere.get_by_role("button", name="Set password").click()
    expect(elsewhere.get_by_role("status")).to_contain_text("password has been set")
    context.close()


def test_a_file_of_sixty_with_twenty_broken_rows(page: Page, site: Site, mailbox: Mailbox, tmp_path: Path) -> None:
    """What people see of an import; that of five hundred is in threats/test_people.py."""
    mark = len(mailbox.mails)
    rows = [f"many{mark}-{n}@acme.example,Person {n},hr,employee" for n in range(40)]
    rows[10:10] = [f"broken{n},Nobody,,employee" for n in range(20)]
    file = tmp_path / "people.csv"
    file.write_text("\n".join(["email,name,department,role", *rows]))
    sign_in(page, site, PEOPLE["admin"][0], target="/admin/accounts")
    page.get_by_role("link", name="Invite from CSV").click()
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Review import").click()
    expect(page.get_by_role("region", name="Can’t be imported").locator("tbody tr")).to_have_count(20)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download 20 rows to correct").click()
    to_correct = waiting.value.path().read_text("utf-8-sig")
    assert to_correct.splitlines()[1] == (
        'broken0,Nobody,,employee,"Enter a valid email address, like name@example.com."'
    )
    page.get_by_role("button", name="Invite 40 people").click()
    while not page.get_by_role("heading", name="Import complete").is_visible():
        look = page.get_by_role("link", name="Refresh")
        if look.is_visible():
            with contextlib.suppress(TimeoutError):  # the page has replaced it by itself meanwhile
                look.click(timeout=1_000)
        page.wait_for_timeout(250)  # the import needs the core that looking takes
    expect(page.locator("dd").first).to_have_text("40")
    expect(page.get_by_role("region", name="Not invited").locator("tbody tr")).to_have_count(20)
    page.get_by_role("link", name="Upload the corrected file").click()
    file.write_text(to_correct.replace("broken", f"late{mark}-").replace(",Nobody", "@acme.example,Nobody"))
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Review import").click()
    expect(page.get_by_role("button", name="Invite 20 people")).to_be_visible()


def test_the_sample_file_can_be_uploaded_as_it_is(page: Page, site: Site, tmp_path: Path) -> None:
    sign_in(page, site, PEOPLE["admin"][0], target="/admin/accounts/import")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Sample file with semicolons").click()
    page.get_by_label("CSV file").set_input_files(waiting.value.path())
    page.get_by_role("button", name="Review import").click()
    expect(page.get_by_role("button", name="Invite 3 people")).to_be_visible()
    expect(page.get_by_role("region", name="Can’t be imported")).to_have_count(0)


@pytest.mark.parametrize("path", ["/login", "/signup"])
def test_caps_lock_is_said_at_a_password_field_by_a_script_alone(page: Page, site: Site, path: str) -> None:
    page.goto(f"{site.url}{path}")
    field, said = page.locator("[data-caps]"), page.locator(".caps[aria-live=polite]")
    height = page.locator("form#sign-in, form").first.bounding_box()
    has_script = said.count() == 1
    assert has_script is bool(page.locator("[data-reveal]:not([hidden])").count())
    if has_script:
        field.dispatch_event("keydown", {"key": "A", "modifierCapsLock": True})
        expect(said).to_have_text("Caps Lock is on.")
        field.dispatch_event("keydown", {"key": "A", "modifierCapsLock": True})
        expect(said).to_have_text("Caps Lock is on.")
        field.dispatch_event("keyup", {"key": "CapsLock"})
        expect(said).to_have_text("")
        field.dispatch_event("keydown", {"key": "A", "modifierCapsLock": True})
        field.dispatch_event("blur")
        expect(said).to_have_text("")
    assert page.locator("form#sign-in, form").first.bounding_box() == height  # it takes no room


def test_the_hint_speaks_while_somebody_types(site: Site, browser: Browser) -> None:
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.goto(f"{site.url}/signup")
    page.get_by_label("New password").fill("qwertyuiopasdfgh")
    expect(page.locator("#rule")).to_contain_text("common password")
    page.get_by_label("New password").fill(NEW)
    expect(page.locator("#rule")).to_have_text("Strong password")
    page.get_by_label("New password").fill("short")
    expect(page.locator("#rule")).to_contain_text("Use at least 12 characters")
    context.close()
