"""The audit log in a real browser: yesterday's failed sign-ins in two presses, without scripts, by keyboard, on paper."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.audit import rows
from gateway.model.clock import DAY
from gateway.model.entry import Entry, Outcome
from gateway.model.event import Event
from gateway.store import Store
from tests.journeys.conftest import Site
from tests.support.clock import stay_within
from tests.support.gateway import PEOPLE
from tests.support.person import Person

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
YESTERDAYS = {
    Event.LOGIN_FAILED: {"reason": "wrong"},
    Event.LOGIN_2FA_FAILED: {"factor": "totp", "reason": "wrong"},
    Event.NETWORK_REFUSED: {"where": "sign-in", "rule": "tenant"},
}


async def fill(url: str) -> None:
    """Write three failed sign-ins and two others of yesterday, and a failed one of each of the days before."""
    email, midnight = PEOPLE["employee"][0], int(time.time()) // DAY * DAY  # UTC
    store = Store.open(url)
    async with store.transaction() as tx:
        for days in range(2, 6):
            at = midnight - days * DAY + 3_600
            await rows.record(tx, Entry(Event.LOGIN_FAILED, Outcome.FAILURE, at, email, tenant="acme"))
        for n, (event, details) in enumerate(YESTERDAYS.items()):
            at = midnight - DAY + 600 * n
            entry = Entry(event, Outcome.FAILURE, at, email, tenant="acme", account="acc_e", details=details)
            await rows.record(tx, replace(entry, user_agent=CHROME))
        for _ in range(2):
            at = midnight - DAY + 9 * 3_600
            await rows.record(tx, Entry(Event.LOGIN, Outcome.SUCCESS, at, email, tenant="acme"))
    await store.close()


@pytest.fixture(scope="module")
def log(site: Site) -> None:
    stay_within(DAY, 180)  # for all tests here
    with ThreadPoolExecutor() as pool:  # the browser's own event loop may run in this thread
        pool.submit(asyncio.run, fill(site.gateway.store_url)).result()


@pytest.fixture(scope="module")
def admin(log: None, site: Site, browser: Browser) -> Iterator[Page]:
    person = Person(site.gateway, "admin")
    person.sign_in()
    context = browser.new_context(ignore_https_errors=True, java_script_enabled=False)
    name, _, value = person.cookie_line.removeprefix("Cookie: ").partition("=")
    context.add_cookies([{"name": name, "value": value.partition(";")[0], "url": site.url, "secure": True}])
    yield context.new_page()
    context.close()


def failed_of_yesterday(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/admin/audit")
    page.get_by_role("link", name="Failed sign-ins", exact=True).click()
    page.get_by_role("link", name="Yesterday", exact=True).click()
    page.wait_for_load_state()


def entries(page: Page) -> list[str]:
    page.wait_for_load_state()
    return page.locator(".entries tbody p").all_inner_texts()


def test_two_presses_find_yesterdays_failed_sign_ins_and_who_they_were(site: Site, admin: Page) -> None:
    failed_of_yesterday(admin, site)
    name = PEOPLE["employee"][1]
    assert entries(admin) == [
        f"Sign-in as {name} failed: the network isn’t allowed, from Chrome on Windows",
        f"Second step for {name} failed: wrong code, from Chrome on Windows",
        f"Sign-in as {name} failed: wrong password, from Chrome on Windows",
    ]
    expect(admin.locator(".status")).to_contain_text("3 entries from")
    assert admin.locator(".choices [aria-current]").all_inner_texts() == ["Yesterday", "Failed sign-ins"]
    admin.locator(".entries").get_by_role("link", name=name).first.click()
    expect(admin.get_by_role("heading", level=1)).to_contain_text(name)


def test_a_view_is_its_address_and_relative(site: Site, admin: Page) -> None:
    failed_of_yesterday(admin, site)
    query = parse_qs(urlsplit(admin.url).query)
    assert query == {"day": ["yesterday"], "event": ["failed-sign-ins"]}
    found = entries(admin)
    admin.goto("about:blank")
    admin.goto(f"{site.url}/admin/audit?day=yesterday&event=failed-sign-ins")
    assert entries(admin) == found


def test_a_bar_leads_to_the_entries_of_its_hour(site: Site, admin: Page) -> None:
    admin.goto(f"{site.url}/admin/audit?day=yesterday")
    bars = admin.locator(".chart a")
    assert bars.count() == 2
    links = [bar.get_attribute("href") or "" for bar in bars.all()]
    listed = 0
    for link in links:
        admin.goto(f"{site.url}/admin/audit{link}")
        listed += len(entries(admin))
    assert listed == 5
    admin.goto(f"{site.url}/admin/audit?day=yesterday")
    admin.get_by_text("Show as table").press("Enter")
    assert admin.locator("details[open] .shares a").count() == 2


def test_an_export_has_exactly_what_is_shown(site: Site, admin: Page) -> None:
    failed_of_yesterday(admin, site)
    with admin.expect_download() as download:
        admin.get_by_role("button", name="Export JSON Lines").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert [line.split('"event": "')[1].split('"')[0] for line in lines] == [event.value for event in YESTERDAYS][::-1]


def test_the_form_asks_for_the_same_and_details_open_without_a_script(site: Site, admin: Page) -> None:
    admin.goto(f"{site.url}/admin/audit")
    admin.get_by_text("More filters").press("Enter")
    admin.get_by_label("Event", exact=True).select_option("Failed sign-ins")
    admin.get_by_label("Period", exact=True).select_option("Yesterday")
    admin.get_by_role("button", name="Apply filters").press("Enter")
    assert len(entries(admin)) == 3
    first = admin.locator(".entries details").first
    first.locator("summary").press("Enter")
    expect(first.get_by_text(CHROME)).to_be_visible()
    expect(first.get_by_text("network_refused")).to_be_visible()


def test_nothing_found_says_what_to_do(site: Site, admin: Page) -> None:
    admin.goto(f"{site.url}/admin/audit?day=today&event=domain_claimed")
    expect(admin.get_by_text("No entries match these filters.")).to_be_visible()
    admin.get_by_role("link", name="Search at any time").click()
    assert parse_qs(urlsplit(admin.url).query) == {"day": ["any"], "event": ["domain_claimed"]}


def test_what_can_not_be_read_is_said_by_its_name(site: Site, admin: Page) -> None:
    answer = admin.goto(f"{site.url}/admin/audit?day=someday&before=here")
    assert answer
    assert answer.status == 422
    expect(admin.get_by_role("alert")).to_contain_text("We couldn’t read these filters: Period, Page.")


def test_on_a_phone_the_entries_come_before_filters_and_chart(site: Site, admin: Page) -> None:
    admin.set_viewport_size({"width": 320, "height": 640})
    failed_of_yesterday(admin, site)
    places = [admin.locator(place).first.bounding_box() for place in (".entries", "form[method=get]", ".chart")]
    tops = [place["y"] if place else 0.0 for place in places]
    assert tops[0] < 400
    assert tops[0] < tops[2]
    expect(admin.locator("form[method=get]")).not_to_be_visible()
    admin.set_viewport_size({"width": 1280, "height": 800})


def test_on_paper_there_are_only_the_entries(site: Site, admin: Page) -> None:
    failed_of_yesterday(admin, site)
    admin.emulate_media(media="print")
    for gone in (".choices", ".chart", ".entries summary", "button"):
        expect(admin.locator(gone).first).not_to_be_visible()
    expect(admin.locator(".entries tr").nth(1)).to_have_text(re.compile(r"00:20\s*Sign-in as .* failed"))
    expect(admin.get_by_text("Times are in the time zone UTC.")).to_be_visible()
    admin.emulate_media(media="screen")
