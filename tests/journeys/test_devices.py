"""Two browsers of one person: one signs the other out."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.journeys.conftest import Site
from tests.support.gateway import PASSWORD, PEOPLE


@pytest.fixture
def profiles(browser: Browser) -> Iterator[tuple[BrowserContext, BrowserContext]]:
    """Two profiles, the second of which says that it is another browser."""
    firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
    one = browser.new_context(ignore_https_errors=True)
    two = browser.new_context(ignore_https_errors=True, user_agent=firefox)
    yield one, two
    one.close()
    two.close()


def sign_in(site: Site, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{site.url}/whoami")
    page.get_by_label("Email").fill(PEOPLE["manager"][0])
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{site.url}/whoami")


def test_a_device_that_is_signed_out_has_nothing_any_more(
    site: Site, profiles: tuple[BrowserContext, BrowserContext]
) -> None:
    mine, theirs = profiles
    sign_in(site, mine)
    sign_in(site, theirs)
    chat, live = theirs.new_page(), theirs.new_page()
    chat.goto(f"{site.url}/chat")
    expect(chat.locator("#state")).to_have_text("Connected.")
    live.goto(f"{site.url}/live")
    expect(live.locator("#events li").first).to_be_visible()
    with live.expect_event("requestfailed", lambda request: request.url.endswith("/live/stream")) as cut:
        page = mine.new_page()
        page.goto(f"{site.url}/me/sessions")
        device = page.get_by_role("listitem").filter(has_text="Firefox on Windows")
        device.get_by_role("button", name="Sign out device").click()
        expect(page.get_by_role("status")).to_have_text(re.compile("Device signed out"))
    assert cut.value.url.endswith("/live/stream")
    expect(chat.locator("#state")).to_have_text("Closed with code 1008.")
    again = theirs.new_page()
    again.goto(f"{site.url}/timesheets")
    expect(again.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto(f"{site.url}/whoami")
    expect(page.get_by_role("row", name="Remote-Email")).to_contain_text(PEOPLE["manager"][0])


def test_the_list_works_without_scripts_and_on_a_small_screen(site: Site, browser: Browser) -> None:
    context = browser.new_context(
        ignore_https_errors=True, java_script_enabled=False, viewport={"width": 320, "height": 640}
    )
    sign_in(site, context)
    page = context.new_page()
    page.goto(f"{site.url}/me/sessions")
    page.get_by_role("button", name="Sign out all other devices").click()
    expect(page.get_by_role("status")).to_have_text(re.compile("signed out all other devices"))
    expect(page.get_by_role("listitem")).to_have_count(1)
    context.close()
