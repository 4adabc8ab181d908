"""Leaving in a real browser, with Entra ID's ways: its frame may show our page, and ours leads to its sign-out page."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import SHELL, chromium
from tests.support.gateway import PASSWORD, Gateway
from tests.support.identity_provider import Client, IdentityProvider, Realm, User
from tests.support.mail import Mailbox
from tests.support.upstream import RecordingUpstream

PEOPLE = [User(str(uuid.UUID(int=n)), f"g{n}@acme.example", f"G{n}", claims={"xms_edov": True}) for n in range(1, 4)]


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway at http://localhost; the provider is at http://127.0.0.1, which is another site."""
    address, changes = f"127.0.0.1:{recorder.port}", {"SSO__ON": "true", "SSO__PRIVATE_NETWORKS": "true"}
    running = Gateway(tmp_path_factory.mktemp("leaving"), address, changes=changes, mail_port=mailbox.port)
    running.public_url = f"http://localhost:{running.port}"
    running.write_settings(address)
    running.seed().start()
    running.write(
        "INSERT INTO domain_claims (domain, tenant, claimed_at, claimed_by) VALUES ('acme.example', 'acme', 1, 'x')"
    )
    yield running
    assert running.stop() == 0, running.logged()[-3000:]
    assert "Traceback" not in running.logged()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(SHELL) as running:
        yield running


@pytest.fixture(scope="module")
def realm(own: Gateway, identity_provider: IdentityProvider, browser: Browser) -> Realm:
    """A provider that an administrator has connected, with the addresses that the page shows."""
    page = browser.new_context().new_page()
    page.goto(f"{own.public_url}/admin/sso")
    page.get_by_label("Email").fill("adam@acme.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    shown = {
        name: page.locator(f"dt:has-text('{name}') + dd code").first.inner_text()
        for name in ("Redirect URI", "Logout URL", "after signing out")
    }
    client = Client(
        "gateway",
        redirect_uris=(shown["Redirect URI"],),
        frontchannel_logout_uri=shown["Logout URL"],
        post_logout_redirect_uris=(shown["after signing out"],),
    )
    realm = identity_provider.entra(users=PEOPLE, clients=[client], optional_claims=["sid", "login_hint", "email"])
    page.get_by_label("Provider", exact=True).select_option("entra")
    page.get_by_label("Issuer").fill(realm.issuer)
    page.get_by_label("Client ID").fill("gateway")
    page.get_by_label("Client secret").fill(client.secret)
    page.get_by_label("Add people with an address at your domains when they first sign in").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name=f"<{PEOPLE[0].email}>").click()
    page.get_by_role("link", name="Back to single sign-on").click()
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("status")).to_contain_text("Single sign-on is on")
    page.context.close()
    return realm


def arrive(own: Gateway, browser: Browser, email: str) -> Page:
    page = browser.new_context().new_page()
    page.goto(f"{own.public_url}/login/sso/acme?next=/whoami")
    page.get_by_role("button", name=f"<{email}>").click()
    page.wait_for_url(f"{own.public_url}/whoami")
    return page


def test_signing_out_at_entra_id_in_another_tab_signs_out_here(own: Gateway, realm: Realm, browser: Browser) -> None:
    page, other = arrive(own, browser, PEOPLE[1].email), arrive(own, browser, PEOPLE[1].email)
    tab = page.context.new_page()
    tab.goto(realm.metadata()["end_session_endpoint"])
    with (
        tab.expect_response(lambda response: "/login/sso/logout/acme?sid=" in response.url) as answer,
        tab.expect_event("framenavigated", lambda frame: frame.parent_frame is not None) as framed,
    ):
        tab.get_by_role("button", name="Sign out").click()
    assert answer.value.status == 200
    assert "cookie" not in answer.value.request.all_headers()
    assert framed.value.url == answer.value.url  # and no page of the browser that says it was refused
    page.goto(f"{own.public_url}/whoami")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    other.goto(f"{own.public_url}/whoami")
    assert other.url == f"{own.public_url}/whoami"


def test_signing_out_here_leads_to_signing_out_at_entra_id_and_back(
    own: Gateway, realm: Realm, browser: Browser
) -> None:
    page = arrive(own, browser, PEOPLE[2].email)
    page.goto(f"{own.public_url}/logout")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You’ve signed out")
    assert Axe().run(page).violations_count == 0
    page.get_by_role("link", name="Sign out at your identity provider too").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{own.public_url}/login")
    page.goto(f"{own.public_url}/login/sso/acme?next=/whoami")
    expect(page.get_by_role("button", name=f"<{PEOPLE[2].email}>")).to_be_visible()  # the provider asks who it is


def test_a_page_of_another_site_can_not_frame_it(own: Gateway, realm: Realm, browser: Browser) -> None:
    page = browser.new_context().new_page()
    body = f'<iframe src="{own.public_url}/login/sso/logout/acme?sid=x"></iframe>'
    page.route("http://evil.example/", lambda route: route.fulfill(content_type="text/html", body=body))
    with page.expect_event("framenavigated", lambda frame: frame.parent_frame is not None) as framed:
        page.goto("http://evil.example/")
    assert framed.value.url == "chrome-error://chromewebdata/"
