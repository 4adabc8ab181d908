"""What a person does, in a real browser, through real servers."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel.dates import format_date
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.journeys.conftest import Site
from tests.support.browser import WHOLE
from tests.support.gateway import PASSWORD, PEOPLE

# For what a browser does around its pages: going back in its history, keeping files.
in_the_whole_browser = pytest.mark.parametrize("program", [WHOLE], ids=["whole"], indirect=True)


def sign_in(page: Page, who: str = "employee", password: str = PASSWORD) -> None:
    page.get_by_label("Email").fill(PEOPLE[who][0])
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


@in_the_whole_browser
def test_a_deep_link_leads_through_signing_in_to_that_very_page(site: Site, context: BrowserContext) -> None:
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(f"{site.url}/whoami?week=47&tags=a%2Fb#friday")
    assert page.url.startswith(f"{site.url}/login?next=")
    sign_in(page)
    page.wait_for_url(f"{site.url}/whoami?week=47&tags=a%2Fb#friday")
    expect(page.get_by_role("row", name="Remote-Email")).to_contain_text("erin@acme.example")
    expect(page.get_by_role("row", name="Remote-Groups")).to_contain_text("employee,hr")
    expect(page.locator("#name")).to_have_text("Erin Zoë")
    assert problems == []


def test_a_public_page_asks_nobody(site: Site, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(site.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("Work, counted calmly")


@in_the_whole_browser
def test_everything_the_app_does_works_behind_the_gateway(site: Site, context: BrowserContext, tmp_path: Path) -> None:
    page = context.new_page()
    page.goto(f"{site.url}/timesheets")
    sign_in(page)
    content = bytes(range(256)) * 20_000
    file = tmp_path / "receipt.bin"
    file.write_bytes(content)
    page.get_by_label("Receipt").set_input_files(file)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#size")).to_have_text(str(len(content)))
    expect(page.locator("#sha256")).to_have_text(hashlib.sha256(content).hexdigest())

    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download the report").click()
    assert waiting.value.path().read_text().startswith("week,project,hours\n1,Acme rollout,31")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download 20 MB").click()
    assert waiting.value.path().stat().st_size == 20_000_000

    page.goto(f"{site.url}/live")
    expect(page.locator("#events li").nth(1)).to_have_text("erin@acme.example: tick 1")

    page.goto(f"{site.url}/chat")
    expect(page.locator("#messages li").first).to_have_text("Hello erin@acme.example")
    page.get_by_label("Say").fill("good morning")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#messages li").nth(1)).to_have_text("erin@acme.example: good morning")


def test_times_are_in_the_browsers_zone_and_pointing_at_one_tells_utc(site: Site, browser: Browser) -> None:
    context = browser.new_context(ignore_https_errors=True, timezone_id="Asia/Tokyo", locale="en-GB")
    page = context.new_page()
    page.goto(f"{site.url}/admin/audit")
    sign_in(page, "admin")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Audit log")
    page.wait_for_load_state()
    newest = page.locator("time[title]").last
    exact = datetime.fromisoformat(newest.get_attribute("datetime") or "")
    there = exact.astimezone(ZoneInfo("Asia/Tokyo"))
    expect(newest).to_have_attribute("title", f"{exact:%Y-%m-%d %H:%M:%S} UTC")
    expect(newest).to_contain_text(f"{format_date(there, 'medium', locale='en_GB')}, {there:%H:%M}")
    expect(page.get_by_text("Times are in the time zone Asia/Tokyo.")).to_be_visible()
    context.close()


@in_the_whole_browser
def test_after_signing_out_the_back_button_shows_nothing_private(site: Site, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{site.url}/whoami")
    sign_in(page)
    expect(page.get_by_text("erin@acme.example").first).to_be_visible()
    page.get_by_role("link", name="Sign out").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status").first).to_have_text("You’ve signed out.")
    # The sign-in page offers passkeys, for which it sets the cookie of a sign-in that may follow.
    assert {cookie["name"] for cookie in context.cookies()} <= {"__Host-otium_attempt", "__Host-otium_zone"}
    for _ in range(2):
        page.go_back()
        assert "erin@acme.example" not in page.content()
    page.goto(f"{site.url}/whoami")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_a_wrong_password_says_what_to_do_and_keeps_the_email(site: Site, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{site.url}/timesheets#this-week")
    sign_in(page, password="not the password")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Incorrect email or password")
    expect(alert).to_be_focused()
    expect(page.get_by_label("Email")).to_have_value("erin@acme.example")
    expect(page.get_by_label("Password")).to_have_value("")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}/timesheets#this-week")


def test_the_password_can_be_shown(site: Site, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{site.url}/login")
    page.get_by_label("Password").fill("visible")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#password")).to_have_attribute("type", "text")
    expect(page.get_by_role("button", name="Show")).to_have_attribute("aria-pressed", "true")


def test_signing_in_works_without_javascript(site: Site, browser: Browser) -> None:
    context = browser.new_context(ignore_https_errors=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.url}/whoami")
    expect(page.get_by_role("button", name="Show")).to_be_hidden()
    sign_in(page)
    page.wait_for_url(f"{site.url}/whoami")
    page.goto(f"{site.url}/logout")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_have_text("You’ve signed out.")
    context.close()


def test_who_may_not_open_a_page_is_told_so_once(site: Site, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{site.url}/company")
    sign_in(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("You don’t have access to this page.")
    expect(page.locator("code")).to_have_text(re.compile(r"[A-Za-z0-9._-]{8,64}"))


def test_a_script_is_told_where_to_sign_in_and_not_redirected(site: Site, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(site.url)
    found = page.evaluate(
        "async () => { const r = await fetch('/whoami'); return [r.status, r.redirected, await r.json()]; }"
    )
    assert found[:2] == [401, False]
    assert found[2]["sign_in"] == f"{site.url}/login?next=/whoami"


def test_a_form_of_another_site_signs_nobody_in(site: Site, context: BrowserContext) -> None:
    page = context.new_page()
    page.route("https://evil.example/", lambda route: route.fulfill(
        content_type="text/html",
        body=f'<form method="post" action="{site.url}/login"><input name="email" value="{PEOPLE["employee"][0]}">'
        f'<input name="password" value="{PASSWORD}"><button>Win</button></form>',
    ))  # fmt: skip
    page.goto("https://evil.example/")
    page.get_by_role("button", name="Win").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("We couldn’t verify where this form came from")
    assert {cookie["name"] for cookie in context.cookies()} <= {"__Host-otium_zone"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_pages_fit_and_can_be_read(site: Site, browser: Browser, scheme: str, width: int) -> None:
    """Nothing scrolls sideways at 320 px, targets are large enough, and text has contrast."""
    context = browser.new_context(
        ignore_https_errors=True, color_scheme=scheme, viewport={"width": width, "height": 700}
    )  # type: ignore[arg-type]
    page = context.new_page()
    for path in ("/login?next=/x", "/logout", "/_gateway/static/none", "/login?signed-out=1"):
        page.goto(f"{site.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        sizes = page.evaluate(
            "[...document.querySelectorAll('main a, main button:not([hidden]), main input:not([type=hidden])')].map(e => e.getBoundingClientRect().height)"
        )
        assert all(size >= 44 for size in sizes), (path, sizes)
    context.close()
