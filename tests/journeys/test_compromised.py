"""Somebody else is signed in: the mail leads to the page, one press ends it, and a new password follows."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.journeys.conftest import Site
from tests.support.gateway import PASSWORD
from tests.support.mail import links_in
from tests.support.visitor import Visitor

NEW = "seven green kettles on a raft"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.mark.parametrize("has_scripts", [True, False], ids=["scripts", "no scripts"])
def test_from_the_mail_to_a_new_password(site: Site, browser: Browser, has_scripts: bool) -> None:
    email = f"crowd{36 if has_scripts else 37}@acme.example"
    mine = browser.new_context(
        ignore_https_errors=True, java_script_enabled=has_scripts, viewport={"width": 320, "height": 640}
    )
    theirs = browser.new_context(ignore_https_errors=True, user_agent=FIREFOX)
    thief = Visitor(site.gateway, site.mailbox, theirs, email)
    thief.give_password()
    told = site.mailbox.wait_for(email, "New sign-in")
    (link,) = [link for link in links_in(told) if link.endswith("/me/security/compromised")]

    page = mine.new_page()
    page.goto(link)
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Someone else is using my account")
    expect(page.get_by_role("row").filter(has_text="Firefox on Windows")).to_contain_text("Signed in New device")
    page.get_by_role("button", name="End everything").click()
    expect(page.get_by_role("status").first).to_contain_text("Now choose a new password")
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill(NEW)
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("status")).to_contain_text("Password changed")

    again = theirs.new_page()
    again.goto(f"{site.url}/whoami")
    expect(again.get_by_role("heading", level=1)).to_have_text("Sign in")
    again.get_by_label("Email").fill(email)
    again.get_by_label("Password", exact=True).fill(PASSWORD)
    again.get_by_role("button", name="Sign in", exact=True).click()
    expect(again.get_by_role("alert")).to_contain_text("Incorrect email or password")

    page.get_by_role("link", name="Someone else is using my account").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text(re.compile("Password changed|Password sign-in failed"))
    expect(page.get_by_role("row").filter(has_text="Everything ended")).to_have_count(1)
    mine.close()
    theirs.close()


def test_an_administrator_does_it_for_somebody(site: Site, browser: Browser) -> None:
    email = "crowd38@acme.example"
    context, admins = browser.new_context(ignore_https_errors=True), browser.new_context(ignore_https_errors=True)
    victim = Visitor(site.gateway, site.mailbox, context, email)
    victim.give_password()
    page = admins.new_page()
    page.goto(f"{site.url}/admin/accounts?q={email}")
    page.get_by_label("Email").fill("adam@acme.example")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("table").get_by_role("link").first.click()
    page.get_by_role("link", name="Someone else is using this account").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Is someone else using the account of")
    page.get_by_role("button", name="End everything").click()
    expect(page.get_by_role("status")).to_contain_text("Everything has been ended")
    told = site.mailbox.wait_for(email, "Everything in your account")
    (link,) = [link for link in links_in(told) if "/reset-password/" in link]
    mine = victim.open(link.removeprefix(site.url))
    mine.get_by_label("New password", exact=True).fill(NEW)
    mine.get_by_role("button", name="Set password").click()
    mine.get_by_label("Password", exact=True).fill(NEW)
    mine.get_by_role("button", name="Sign in", exact=True).click()
    mine.wait_for_url(re.compile("app.example.com"))
    expect(mine.get_by_role("heading", name="Sign in", exact=True)).to_have_count(0)
    context.close()
    admins.close()
