"""The navigation in a real browser, with JavaScript and without: wide, narrow, by keyboard, and on paper."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from gateway.languages.catalogue import OFFERED
from tests.journeys.conftest import Site
from tests.journeys.test_accounts import sign_in

NARROW, MIDDLE, WIDE = ({"width": width, "height": 700} for width in (320, 768, 1280))


@pytest.fixture(scope="module", params=["scripts", "no scripts"])
def page(request: pytest.FixtureRequest, browser: Browser, site: Site) -> Iterator[Page]:
    """An administrator's, signed in."""
    context = browser.new_context(ignore_https_errors=True, java_script_enabled=request.param == "scripts")
    page = context.new_page()
    sign_in(page, site, "adam@acme.example")
    page.wait_for_url("**/whoami")
    yield page
    context.close()


def pages_in(page: Page) -> Locator:
    return page.get_by_role("navigation", name="Pages")


def test_an_accounts_address_leads_to_its_first_page_and_the_administrations_own_stays_the_applications(
    page: Page, site: Site
) -> None:
    page.goto(f"{site.url}/me")
    expect(page).to_have_url(f"{site.url}/me/security")
    page.goto(f"{site.url}/admin")
    expect(pages_in(page)).to_have_count(0)
    assert page.url == f"{site.url}/admin"


def test_beside_a_wide_page_the_navigation_shows_where_one_is(page: Page, site: Site) -> None:
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    page.goto(f"{site.url}/me")
    expect(page.get_by_role("button", name="Menu")).to_be_hidden()
    for label, heading in (
        ("Devices", "Your devices"),
        ("People", "People at acme"),
        ("Audit log", "Audit log for acme"),
    ):
        pages_in(page).get_by_role("link", name=label).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        expect(pages_in(page).locator("[aria-current=page]")).to_have_text([label])
    groups = pages_in(page).get_by_role("list")
    expect(groups).to_have_count(2)
    expect(pages_in(page).get_by_role("list", name="Administration")).to_be_visible()


@pytest.mark.parametrize("size", [NARROW, MIDDLE], ids=["320", "768"])
def test_on_a_small_screen_a_menu_opens_and_closes(page: Page, site: Site, size: dict[str, int]) -> None:
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.goto(f"{site.url}/me/sessions")
    expect(pages_in(page)).to_be_hidden()
    expect(page.get_by_text("Your account › Devices")).to_be_visible()
    menu = page.get_by_role("button", name="Menu")
    menu.click()
    expect(pages_in(page)).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(pages_in(page)).to_be_hidden()
    menu.click()
    pages_in(page).get_by_role("link", name="People").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("People at acme")
    expect(pages_in(page)).to_be_hidden()
    expect(page.get_by_text("Administration › People")).to_be_visible()


def test_the_keyboard_reaches_the_skip_link_then_the_menu_then_its_links(page: Page, site: Site) -> None:
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    page.goto(f"{site.url}/me/security")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Menu")).to_be_focused()
    page.keyboard.press("Enter")
    for name in ("Close", "Security", "Devices"):
        page.keyboard.press("Tab")
        expect(pages_in(page).get_by_text(name, exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(pages_in(page)).to_be_hidden()
    expect(page.get_by_role("button", name="Menu")).to_be_focused()


@pytest.mark.parametrize("code", OFFERED)
@pytest.mark.parametrize("path", ["/me/security", "/logout"])
def test_on_a_phone_the_ways_out_are_beside_each_other_in_every_language(
    page: Page, site: Site, code: str, path: str
) -> None:
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    page.set_extra_http_headers({"Accept-Language": code})
    page.goto(f"{site.url}{path}")
    ways = page.locator(".self").locator("a, button")
    expect(ways).to_have_count(2)
    boxes = [box for box in (way.bounding_box() for way in ways.all()) if box]
    page.set_extra_http_headers({})
    first, second = boxes
    assert abs(first["y"] - second["y"]) < 1
    assert all(box["height"] >= 44 for box in boxes)


def test_on_paper_there_is_only_the_page(page: Page, site: Site) -> None:
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    page.goto(f"{site.url}/me/security")
    page.emulate_media(media="print")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(pages_in(page)).to_be_hidden()
    expect(page.get_by_role("link", name="Back to OtiumWork")).to_be_hidden()
    box = page.get_by_role("main").bounding_box()
    assert box is not None
    assert box["width"] == WIDE["width"]
    page.emulate_media(media="screen")


def test_the_frame_leads_back_to_the_application_and_signs_out(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/me/security")
    page.get_by_role("link", name="Back to OtiumWork").click()
    expect(page).to_have_url(f"{site.url}/")
    page.goto(f"{site.url}/me/security")
    page.get_by_role("navigation", name="Account").get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_have_text("You’ve signed out.")
    expect(page.get_by_role("navigation")).to_have_count(0)
