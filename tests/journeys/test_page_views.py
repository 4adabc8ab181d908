"""Page views from the owner's switch to the administrator's export, in Chromium, with JavaScript and without."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.journeys.conftest import OWNERS, Site
from tests.support.gateway import PASSWORD, PEOPLE
from tests.support.owner import enrol_owner
from tests.support.person import Person

REASON = "Customer data was found elsewhere"


@pytest.fixture(scope="module")
def owner(site: Site) -> Person:
    return enrol_owner(site.gateway, site.mailbox, OWNERS[0])[0]


@pytest.fixture(params=["scripts", "no scripts"])
def contexts(request: pytest.FixtureRequest, browser: Browser) -> Iterator[list[BrowserContext]]:
    """Profiles of the owner, a person and an administrator."""
    has_scripts = request.param == "scripts"
    made = [browser.new_context(ignore_https_errors=True, java_script_enabled=has_scripts) for _ in range(3)]
    yield made
    for context in made:
        context.close()


def sign_in(site: Site, context: BrowserContext, who: str, target: str) -> Page:
    page = context.new_page()
    page.goto(f"{site.url}{target}")
    page.get_by_label("Email").fill(PEOPLE[who][0])
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{site.url}{target}")
    return page


def enter(site: Site, context: BrowserContext, person: Person) -> Page:
    for name, value in person.cookies.items():
        context.add_cookies([{"name": name, "value": value, "url": site.url, "secure": True, "sameSite": "Lax"}])
    return context.new_page()


def test_from_the_switch_to_the_export(site: Site, owner: Person, contexts: list[BrowserContext]) -> None:
    operator = enter(site, contexts[0], owner)
    operator.goto(f"{site.url}/ops")
    operator.get_by_role("link", name="Page views").click()
    operator.get_by_label("Tenant", exact=True).select_option("acme")
    operator.get_by_label("Reason").fill(REASON)
    operator.get_by_role("button", name="Record page views").click()
    expect(operator.get_by_role("heading", level=1)).to_have_text("Record page views of acme?")
    operator.get_by_role("button", name="Record page views").click()
    expect(operator.get_by_role("status")).to_have_text("Page views are recorded from now on.")

    person = sign_in(site, contexts[1], "employee", "/whoami")
    person.goto(f"{site.url}/timesheets?week=42")
    person.goto(f"{site.url}/me/sessions")
    expect(person.locator("#recorded")).to_contain_text(REASON)
    this = person.get_by_role("listitem").filter(has=person.locator(".tag"))
    this.get_by_role("link", name="Pages opened by this device").click()
    expect(person.get_by_role("heading", level=1)).to_have_text("Pages opened by this device")
    expect_row(person, "GET /timesheets", "200")
    assert "week" not in person.get_by_role("main").inner_text()

    admin = sign_in(site, contexts[2], "admin", "/admin/accounts?q=erin")
    admin.get_by_role("link", name=PEOPLE["employee"][1]).click()
    admin.get_by_role("link", name="Pages that this person opened").click()
    expect(admin.get_by_role("heading", level=1)).to_have_text(f"Pages that {PEOPLE['employee'][1]} opened")
    with admin.expect_download() as download:
        admin.get_by_role("button", name="Export CSV").click()
    assert ",GET,/timesheets,200," in Path(download.value.path()).read_text()
    admin.get_by_role("link", name="Pages opened by this device").first.click()
    expect_row(admin, "GET /timesheets", "200")
    admin.goto(f"{site.url}/admin/audit?event=page_views_read")
    expect(admin.get_by_role("row").filter(has_text="Page views of a person read").first).to_be_visible()

    operator.get_by_role("button", name="Stop recording page views of acme").click()
    expect(operator.get_by_role("status")).to_have_text("Page views are no longer recorded.")
    person.goto(f"{site.url}/me/sessions")
    expect(person.locator("#recorded")).to_contain_text(re.compile("no longer records"))


def expect_row(page: Page, request: str, status: str) -> None:
    """Look at the page again until a request is on it: a job writes them, every half second."""
    row = page.get_by_role("row").filter(has_text=request).first
    until = time.monotonic() + 120
    while not row.is_visible():
        assert time.monotonic() < until
        page.reload()
    expect(row).to_contain_text(status)
