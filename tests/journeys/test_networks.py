"""Allowed networks in a real browser, with JavaScript and without: set, meet the list, be let in again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.journeys.conftest import Site
from tests.journeys.test_accounts import sign_in

HERE, FAR = "127.0.0.1", "198.51.100.0/24 Far away"
REFUSED = "This account can’t be used from your network."


@pytest.fixture(params=["scripts", "no scripts"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(ignore_https_errors=True, java_script_enabled=request.param == "scripts")
    yield context.new_page()
    context.close()


@pytest.fixture
def email(request: pytest.FixtureRequest, site: Site) -> Iterator[str]:
    who = "crowd22@acme.example" if "no scripts" in request.node.name else "crowd23@acme.example"
    yield who
    site.gateway.write("UPDATE accounts SET networks = '' WHERE identifier = :who", who=who)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_a_person_who_leaves_themselves_out_is_told_twice_and_an_administrator_lets_them_in_again(
    page: Page, site: Site, email: str
) -> None:
    sign_in(page, site, email)
    page.goto(f"{site.url}/me/security")
    page.get_by_role("link", name="Allowed networks").click()
    press(page, "Add this address")
    expect(page.get_by_label("Your list")).to_have_value(HERE)
    press(page, "Save")
    expect(page.get_by_role("status")).to_have_text("Saved. The list applies from now on.")
    page.get_by_label("Your list").fill(FAR)
    press(page, "Save")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your own address isn’t on the list")
    press(page, "Continue without it")
    expect(page.get_by_role("heading", level=1)).to_have_text("Lock yourself out from here?")
    press(page, "Save, and be refused here")
    expect(page.get_by_role("heading", level=1)).to_have_text(REFUSED)
    expect(page.get_by_text(HERE)).to_be_visible()
    page.goto(f"{site.url}/whoami")
    expect(page.get_by_role("heading", level=1)).to_have_text(REFUSED)
    let_in(page, site, email)
    page.goto(f"{site.url}/whoami")
    expect(page.get_by_role("row", name="Remote-Email")).to_contain_text(email)


def let_in(page: Page, site: Site, email: str) -> None:
    """As an administrator, remove the person's list."""
    browser = page.context.browser
    assert browser is not None
    context = browser.new_context(ignore_https_errors=True)
    admin = context.new_page()
    sign_in(admin, site, "adam@acme.example", target="/admin/accounts?q=" + email)
    admin.get_by_role("link", name=email.partition("@")[0].replace("crowd", "Crowd ")).click()
    admin.get_by_role("main").get_by_role("link", name="Allowed networks").first.click()
    admin.get_by_label("Remove this list").check()
    press(admin, "Continue")
    press(admin, "Save")
    expect(admin.get_by_role("status")).to_have_text("Saved. The list applies from now on.")
    context.close()


def test_the_address_is_added_and_saved_by_one_press(page: Page, site: Site, email: str) -> None:
    sign_in(page, site, email)
    page.goto(f"{site.url}/me/networks")
    page.get_by_label("Your list").fill(FAR)
    press(page, "Save")
    press(page, "Add my address and save")
    expect(page.get_by_label("Your list")).to_have_value(f"{FAR}\n{HERE}")
    page.goto(f"{site.url}/whoami")
    expect(page.get_by_role("row", name="Remote-Email")).to_contain_text(email)
