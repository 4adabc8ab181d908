"""An owner watches the dashboard while somebody attacks: with and without JavaScript, in a real Chromium."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import insert

from gateway.accounts import rows as account_rows
from gateway.audit import rows as audit_rows
from gateway.model.clock import HOUR
from gateway.model.entry import Entry, Outcome
from gateway.model.event import Event
from gateway.ops.pages import REFRESH_SECONDS, UNATTENDED_SECONDS
from gateway.store import Store
from gateway.store.schema import sessions
from tests.journeys.conftest import OWNERS, Site
from tests.journeys.test_every_page import MAX_WEIGHT
from tests.support.clock import stay_within
from tests.support.gateway import PEOPLE
from tests.support.owner import enrol_owner
from tests.support.person import Person
from tests.support.visitor import Visitor

CALM = "No attack on sign-ins in the last hour."
LONG = "long" * 15 + "@" + ("d" * 60 + ".") * 3 + "example"
UNDER_WAY = "An attack on sign-ins is under way."
TRANSFERRED = """
  [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .reduce((sum, each) => sum + each.encodedBodySize, 0)
"""


@pytest.fixture(scope="module")
def owner(site: Site) -> Person:
    return enrol_owner(site.gateway, site.mailbox, source="127.0.0.1")[0]


@pytest.fixture
def rested(site: Site) -> None:
    """Nobody has attacked before."""
    for table in ("blocks", "limits", "failed_passwords"):
        site.gateway.write(f"DELETE FROM {table}")
    site.gateway.write("UPDATE audit SET at = at - 90000 WHERE event IN ('login_failed', 'login_lockout')")


@pytest.fixture
def attended(site: Site, owner: Person, context: BrowserContext, rested: None) -> Page:
    """The dashboard in the owner's browser. Time stands still until a test lets it pass."""
    page = enter(site, owner, context)
    page.clock.install()
    page.goto(f"{site.url}/ops")
    return page


@pytest.fixture
def plain(site: Site, owner: Person, browser: Browser, rested: None) -> Iterator[Page]:
    """The same without JavaScript."""
    context = browser.new_context(ignore_https_errors=True, java_script_enabled=False)
    yield enter(site, owner, context)
    context.close()


def enter(site: Site, owner: Person, context: BrowserContext) -> Page:
    for name, value in owner.cookies.items():
        context.add_cookies([{"name": name, "value": value, "url": site.url, "secure": True, "sameSite": "Lax"}])
    return context.new_page()


def attack(site: Site, accounts: int, source: str = "127.0.41.7", tries: int = 1) -> None:
    """Send wrong passwords for many accounts from one address."""
    for number in range(accounts):
        for _ in range(tries):
            fields = {"email": f"crowd{number}@acme.example", "password": f"guess {number}"}
            assert site.gateway.post("/login", fields, source=source).status in (401, 422, 429)


def attack_with_everything(site: Site) -> None:
    """Have more places attack than are shown, long emails attacked from many, and more locked and blocked than shown."""
    for network in range(50, 62):
        attack(site, 12, f"127.0.{network}.7")
    for host in range(6):
        for number in range(6):
            fields = {"email": f"{number}{LONG}", "password": "guess"}
            site.gateway.post("/login", fields, source=f"127.0.{70 + host}.9")
    now = int(time.time())
    run, until = site.gateway.write, now + 3_600
    for number in range(12):
        run(
            "INSERT INTO failed_passwords (hour, tag, accounts) VALUES (:hour, :tag, :accounts)",
            hour=now // 3_600, tag=number, accounts=2**62 - 1,
        )  # fmt: skip
        run(
            "INSERT INTO limits (key, failures, locked_until, changed_at) VALUES (:key, '[]', :until, :now)",
            key=f"password:{number}{LONG}|127.0.80.{number}", now=now, until=until,
        )  # fmt: skip
    for number in range(40):
        run(
            "INSERT INTO blocks (network, until, created_at, created_by) VALUES (:network, :until, :now, :by)",
            network=f"2001:db8:aaaa:bbbb:cc{number}::/80", until=until, now=now, by=OWNERS[0],
        )  # fmt: skip


async def fill_week(url: str) -> None:
    """Let something of each kind happen in each quarter of a day."""
    store, now = Store.open(url), int(time.time())
    async with store.transaction() as tx:
        erin = await account_rows.find_by_identifier(tx, PEOPLE["employee"][0])
        assert erin is not None
        for slot in range(28):
            at = now - slot * 6 * 3_600
            for event in (Event.LOGIN, Event.LOGIN_FAILED, Event.LOGIN_LOCKOUT):
                await audit_rows.record(tx, Entry(event, Outcome.SUCCESS, at, erin.identifier, tenant=erin.tenant))
            session = {"id": f"ses_week_{slot}", "token_key": b"week" + slot.to_bytes(28), "account": erin.id}
            times = {"proofs": "[]", "address": "192.0.2.1", "user_agent": "", "started_at": at, "seen_at": at}
            await tx.execute(insert(sessions).values(session | times))
    await store.close()


def pass_time(page: Page, seconds: int) -> None:
    page.clock.fast_forward(seconds * 1000)


def test_signing_in_leads_to_the_answer_without_a_press(site: Site, context: BrowserContext, rested: None) -> None:
    attack(site, 12)
    visitor = Visitor(site.gateway, site.mailbox, context, OWNERS[3])
    visitor.give_password("/ops")
    visitor.page.goto(visitor.link(1))
    visitor.press("Yes, sign in")
    visitor.set_up()
    visitor.keep_codes()
    visitor.page.wait_for_url("**/ops")
    expect(visitor.page.get_by_role("link", name=UNDER_WAY)).to_be_in_viewport()


def test_an_attack_is_seen_blocked_and_unblocked_without_a_script(site: Site, plain: Page) -> None:
    page = plain
    page.goto(f"{site.url}/ops")
    expect(page.locator("#summary")).to_contain_text(CALM)
    expect(page.get_by_role("article")).to_have_count(0)
    attack(site, 12, tries=5)
    page.get_by_role("link", name="Reload", exact=True).click()
    expect(page.locator("#summary")).to_contain_text(UNDER_WAY)
    told = page.get_by_role("article").filter(has_text="127.0.41.7")
    expect(told).to_contain_text("Failed sign-ins for 12 email addresses from 127.0.41.7 in the last 15 minutes.")
    expect(told).to_contain_text("The gateway has locked 12 pairs of email and IP address there.")
    expect(told).to_contain_text("Sign-ins from there aren’t blocked.")

    told.get_by_role("button", name="Block 127.0.41.7 for 24 hours").click()
    page.get_by_role("button", name="Block", exact=True).click()
    expect(told).to_contain_text("Sign-ins from 127.0.41.7/32 are blocked until")
    expect(page.locator("#summary")).to_contain_text("An attack on sign-ins has been blocked.")
    assert site.gateway.post("/login", {"email": "x@y.example", "password": "x"}, source="127.0.41.7").status == 403

    told.get_by_role("button", name="Unblock 127.0.41.7/32").click()
    expect(page.locator("#summary")).to_contain_text(UNDER_WAY)
    told.get_by_role("link", name="See the entries from 127.0.41.7").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Audit log for all tenants")
    expect(page.get_by_role("row").filter(has_text="crowd11@acme.example")).not_to_have_count(0)


def test_a_network_of_attackers_is_blocked_as_one(site: Site, plain: Page) -> None:
    for host in range(1, 15):
        attack(site, 14, source=f"127.0.42.{host}")
    plain.goto(f"{site.url}/ops")
    expect(plain.get_by_role("article").first).to_contain_text(
        "Failed sign-ins for 14 email addresses from 127.0.42.0/24"
    )
    plain.get_by_role("link", name="See the entries from 127.0.42.0/24").click()
    expect(plain.locator("main")).to_contain_text("crowd13@acme.example")
    expect(plain.locator("main")).to_contain_text("127.0.42.14")
    plain.goto(f"{site.url}/ops")
    plain.get_by_role("button", name="Block 127.0.42.0/24 for 24 hours").click()
    expect(plain.get_by_role("heading", level=1)).to_contain_text("127.0.42.0/24")


def test_the_page_stays_small_with_a_full_week_under_the_largest_attack(
    site: Site, owner: Person, context: BrowserContext, rested: None
) -> None:
    attack_with_everything(site)
    stay_within(HOUR)  # a quarter of a day begins with one
    with ThreadPoolExecutor(1) as thread:  # Playwright keeps an event loop running in this one
        thread.submit(asyncio.run, fill_week(site.gateway.store_url)).result()
    context.set_extra_http_headers({"Accept-Language": "de"})
    page = enter(site, owner, context)
    page.goto(f"{site.url}/ops?span=week")
    expect(page.locator("svg.chart .bar path")).to_have_count(4 * 28)
    expect(page.locator(".attack")).to_have_count(11)
    assert page.evaluate(TRANSFERRED) <= MAX_WEIGHT


def test_an_attack_appears_on_the_open_page_and_nothing_of_it_is_lost(site: Site, attended: Page) -> None:
    page = attended
    expect(page.locator("#summary")).to_contain_text(CALM)
    page.get_by_text("Show as table").first.click()
    table = page.get_by_role("region", name="Show as table")
    expect(table).to_be_visible()
    last_week = page.get_by_role("link", name="Last 7 days")
    last_week.focus()
    page.mouse.move(0, 0)
    attack(site, 12)
    with page.expect_response(re.compile(r"/ops\?span=day")):
        pass_time(page, REFRESH_SECONDS + 1)
    expect(page.locator("#summary")).to_contain_text(UNDER_WAY)
    expect(page.get_by_role("article")).to_contain_text("Failed sign-ins for 12 email addresses from 127.0.41.7")
    expect(table).to_be_visible()
    expect(last_week).to_be_focused()
    expect(page.locator("#told")).to_contain_text(UNDER_WAY)


def test_the_page_asks_nothing_while_it_is_unattended(attended: Page) -> None:
    asked: list[str] = []
    pass_time(attended, UNATTENDED_SECONDS + 1)
    expect(attended.get_by_text("The figures are not refreshed while the page is unattended.")).to_be_visible()
    attended.on("request", lambda request: asked.append(request.url))
    pass_time(attended, REFRESH_SECONDS * 3)
    assert asked == []
    with attended.expect_response(re.compile(r"/ops\?span=day")):
        attended.mouse.move(200, 200)
    expect(attended.locator("#stopped")).to_be_hidden()


def test_after_three_failures_the_page_says_that_it_stopped(attended: Page) -> None:
    asked: list[str] = []
    attended.route(re.compile(r"/ops\?span"), lambda route: (asked.append(route.request.url), route.abort())[1])
    stopped = attended.locator("#stopped")
    for count in range(1, 4):
        expect(stopped).to_be_hidden()
        with attended.expect_event("requestfailed"):
            pass_time(attended, REFRESH_SECONDS + 1)
        assert len(asked) == count
    expect(stopped).to_be_visible()
    expect(attended.get_by_role("status").filter(has_text="didn’t answer three times")).to_have_count(1)
    pass_time(attended, REFRESH_SECONDS * 3)
    assert len(asked) == 3
    expect(attended.get_by_role("link", name="Reload the page")).to_be_visible()


def test_an_ended_session_is_said_and_not_asked_for_again(site: Site, attended: Page) -> None:
    with attended.expect_response(re.compile(r"/ops\?span=day")) as refused:
        site.gateway.write(
            "UPDATE sessions SET ended_at = 1 WHERE account = (SELECT id FROM accounts WHERE identifier = :email)",
            email=PEOPLE["owner"][0],
        )
        pass_time(attended, REFRESH_SECONDS + 1)
    assert refused.value.status == 401
    expect(attended.locator("#stopped")).to_contain_text("because your session has ended")
