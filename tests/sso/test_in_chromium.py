"""Single sign-on in a real browser: an administrator connects the provider, and people sign in with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.browser import SHELL, chromium
from tests.support.gateway import ACCESS, PASSWORD, Gateway
from tests.support.identity_provider import Client, IdentityProvider, Realm, User
from tests.support.mail import Mailbox, links_in
from tests.support.person import code_of
from tests.support.upstream import RecordingUpstream

RULES = ACCESS.replace("rules = [", 'rules = [\n  { path = "/pay", fresh = 600 },')
ADMIN = "adam@acme.example"
PEOPLE = [
    *(User(name, f"{name}@acme.example", name.title()) for name in ("erin", "adam", "nina", "nora")),
    *(User(f"crowd{n}", f"crowd{n}@acme.example", f"Crowd {n}") for n in range(10)),
]


class Visitor:
    """Somebody in front of a browser that goes to both, the gateway and the provider."""

    def __init__(self, own: Gateway, page: Page, email: str) -> None:
        self.own, self.page, self.email = own, page, email
        self.context = page.context

    def open(self, path: str) -> None:
        self.page.goto(self.own.public_url + path)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def is_at(self, path: str) -> None:
        self.page.wait_for_url(self.own.public_url + path)

    def has_heading(self, text: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(text)

    def ask_for_company(self, path: str) -> None:
        """Open a page of the application, and give the email on the sign-in page."""
        self.open(path)
        self.page.get_by_label("Email").fill(self.email)
        self.press("Sign in with your company")

    def give_password(self) -> None:
        """Sign in on the page that is open."""
        self.page.get_by_label("Email").fill(self.email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.press("Sign in")

    def set_up_totp(self) -> str:
        """Sign in, and set up an authenticator app; return its key."""
        self.open("/me/security/totp")
        self.give_password()
        key = self.page.locator("#key").inner_text().replace(" ", "")
        self.page.get_by_label("6-digit code").fill(code_of(self.own, self.email, key))
        self.press("Turn on")
        self.has_heading("Save your backup codes")
        return key

    def choose(self) -> None:
        """Be this person at the provider."""
        self.page.get_by_role("button", name=f"<{self.email}>").click()

    def confirm_with_company(self) -> None:
        """Give a fresh proof; the provider asks again, although it knows this browser."""
        self.press("Continue" if "/login/sso" in self.page.url else "Confirm with your company")
        self.choose()

    def arrive(self, mailbox: Mailbox) -> None:
        """Confirm the first sign-in by the mailed link."""
        self.has_heading("Check your email")
        self.page.goto(links_in(mailbox.wait_for(self.email, "Confirm your sign-in"))[0])
        self.page.get_by_role("main").get_by_role("button").click()
        self.has_heading("Account connected")


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway at http://localhost, where Chromium keeps Secure cookies."""
    address, changes = f"127.0.0.1:{recorder.port}", {"SSO__ON": "true", "SSO__PRIVATE_NETWORKS": "true"}
    running = Gateway(tmp_path_factory.mktemp("sso"), address, access=RULES, changes=changes, mail_port=mailbox.port)
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


@pytest.fixture
def visit(own: Gateway, browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Make visitors, each in a fresh profile."""
    made: list[BrowserContext] = []

    def make(email: str, **options: bool) -> Visitor:
        made.append(browser.new_context(**options))  # type: ignore[arg-type]
        return Visitor(own, made[-1].new_page(), email)

    yield make
    for context in made:
        context.close()


Visit = Callable[..., Visitor]


def age_proofs(person: Visitor) -> None:
    """Have this person's sessions be proved long ago."""
    person.own.write(
        """UPDATE sessions SET proofs = '[["sso",1000,"sso","password"]]'
        WHERE account = (SELECT id FROM accounts WHERE identifier = :email)""",
        email=person.email,
    )


@pytest.fixture(scope="module")
def realm(own: Gateway, identity_provider: IdentityProvider, browser: Browser) -> Realm:
    """A provider that an administrator has connected on the page."""
    client = Client("gateway", redirect_uris=(f"{own.public_url}/login/sso/callback/acme",))
    realm = identity_provider.realm(users=PEOPLE, clients=[client])
    context = browser.new_context()
    adam = Visitor(own, context.new_page(), ADMIN)
    adam.open("/admin/sso")
    adam.give_password()
    adam.has_heading("Single sign-on")
    expect(adam.page.get_by_text(client.redirect_uris[0])).to_be_visible()
    adam.page.get_by_label("Provider", exact=True).select_option("generic")
    adam.page.get_by_label("Issuer").fill(realm.issuer)
    adam.page.get_by_label("Client ID").fill("gateway")
    adam.page.get_by_label("Client secret").fill("not the secret")
    adam.page.get_by_label("Add people with an address at your domains when they first sign in").check()
    adam.press("Save")
    adam.press("Try it out")
    expect(adam.page.get_by_role("main")).to_contain_text("client secret is wrong")
    adam.open("/admin/sso")
    adam.page.get_by_label("Client secret").fill(client.secret)
    adam.press("Save")
    adam.press("Try it out")
    adam.choose()
    expect(adam.page.get_by_role("main")).to_contain_text("your provider answered")
    adam.open("/admin/sso")
    adam.press("Turn on")
    expect(adam.page.get_by_role("status")).to_contain_text("Single sign-on is on")
    context.close()
    return realm


@pytest.mark.parametrize("has_javascript", [True, False])
def test_the_first_sign_in_is_confirmed_by_mail_and_later_ones_lead_to_the_page(
    realm: Realm, visit: Visit, mailbox: Mailbox, has_javascript: bool
) -> None:
    person = visit(f"crowd{int(has_javascript)}@acme.example", java_script_enabled=has_javascript)
    person.ask_for_company("/whoami?week=47")
    person.choose()
    person.arrive(mailbox)
    person.page.get_by_role("link", name="Continue").click()
    person.is_at("/whoami?week=47")  # where the mailed confirmation began
    person.context.clear_cookies(domain="localhost")
    person.ask_for_company("/whoami?week=47")
    person.is_at("/whoami?week=47")  # the provider still knows this browser


def test_an_administrator_sees_the_steps_of_the_chosen_product_only(realm: Realm, visit: Visit) -> None:
    adam = visit(ADMIN)
    adam.open("/admin/sso")
    adam.page.get_by_label("Email").fill(ADMIN)
    adam.page.get_by_label("Password").fill(PASSWORD)
    adam.press("Sign in")
    for kind, other in (("entra", "okta"), ("okta", "entra")):
        adam.page.get_by_label("Provider", exact=True).select_option(kind)
        expect(adam.page.locator(f"details[data-kind={kind}]")).to_be_visible()
        expect(adam.page.locator(f"details[data-kind={other}]")).to_be_hidden()
    expect(adam.page.locator("dd [data-copy=callback]")).to_be_visible()
    adam.open("/admin/sso/provisioning")
    expect(adam.page.locator("dd [data-copy=base]")).to_be_visible()


def test_somebody_without_an_account_gets_one(realm: Realm, visit: Visit) -> None:
    nina = visit("nina@acme.example")
    nina.ask_for_company("/whoami")
    nina.choose()
    nina.is_at("/whoami")


def test_ten_tabs_come_back_each_to_its_own_page(realm: Realm, visit: Visit) -> None:
    nora = visit("nora@acme.example")
    tabs = [Visitor(nora.own, nora.context.new_page(), nora.email) for _ in range(10)]
    for number, tab in enumerate(tabs):
        tab.ask_for_company(f"/whoami?tab={number}")
    for number in (3, 9, 0, 1, 2, 8, 7, 4, 6, 5):
        tabs[number].choose()
        tabs[number].is_at(f"/whoami?tab={number}")


def test_cancelled_at_the_provider_there_is_a_way_on(realm: Realm, visit: Visit) -> None:
    person = visit("crowd2@acme.example")
    person.ask_for_company("/whoami")
    person.press("Cancel")
    expect(person.page.get_by_role("main")).to_contain_text("You cancelled")
    person.page.get_by_role("link", name="Try again").click()
    person.press("Cancel")
    person.page.get_by_role("link", name="Back to sign-in").click()
    person.has_heading("Sign in")


def test_a_form_that_needs_a_fresh_proof_is_sent_after_the_provider_has_spoken(
    realm: Realm, visit: Visit, mailbox: Mailbox
) -> None:
    person = visit("crowd3@acme.example")
    person.ask_for_company("/whoami")
    person.choose()
    person.arrive(mailbox)
    person.open("/whoami")
    person.ask_for_company("/whoami")
    person.is_at("/whoami")
    age_proofs(person)
    person.page.evaluate(
        """() => {
            const form = document.createElement("form");
            form.method = "post";
            form.action = "/pay";
            form.append(Object.assign(document.createElement("input"), { name: "project", value: "Acme rollout" }));
            document.body.append(form);
            form.submit();
        }"""
    )
    expect(person.page.get_by_role("main")).to_contain_text("We saved your form")
    person.confirm_with_company()
    expect(person.page.get_by_role("main")).to_contain_text("Acme rollout")
    person.page.get_by_role("main").get_by_role("button").first.click()
    person.is_at("/pay")


def test_a_fresh_proof_comes_from_the_provider(realm: Realm, visit: Visit, mailbox: Mailbox) -> None:
    person = visit("crowd4@acme.example")
    person.ask_for_company("/whoami")
    person.choose()
    person.arrive(mailbox)
    person.ask_for_company("/whoami")
    person.is_at("/whoami")
    age_proofs(person)
    person.open("/me/security/totp")
    person.confirm_with_company()
    person.is_at("/me/security/totp")


def test_somebody_of_another_domain_is_told_whom_to_ask(realm: Realm, visit: Visit) -> None:
    realm.set(users=[*PEOPLE, User("eve", "eve@elsewhere.example", "Eve")])
    person = visit("crowd5@acme.example")
    person.ask_for_company("/whoami")
    person.page.get_by_role("button", name="<eve@elsewhere.example>").click()
    expect(person.page.get_by_role("alert")).to_contain_text("an email address that you can use here")
    realm.set(users=PEOPLE)


def test_a_provider_whose_clock_is_wrong_signs_nobody_in_until_it_is_right(
    realm: Realm, visit: Visit, mailbox: Mailbox
) -> None:
    person = visit("crowd6@acme.example")
    realm.set(clock=-3_600)
    person.ask_for_company("/whoami")
    person.choose()
    expect(person.page.get_by_role("alert")).to_contain_text("didn’t work")
    realm.set(clock=0)
    person.context.clear_cookies()
    person.ask_for_company("/whoami")
    person.choose()
    person.arrive(mailbox)


def test_the_providers_keys_change_and_people_sign_in_as_before(realm: Realm, visit: Visit, mailbox: Mailbox) -> None:
    realm.rotate_keys(keep=False)
    person = visit("crowd7@acme.example")
    person.ask_for_company("/whoami")
    person.choose()
    person.arrive(mailbox)


def test_while_the_provider_is_down_the_password_works(realm: Realm, visit: Visit) -> None:
    person = visit("crowd8@acme.example")
    person.ask_for_company("/whoami")
    realm.fail("token", status=503)
    try:
        person.choose()
        expect(person.page.get_by_role("alert")).to_contain_text("didn’t work")
        person.page.get_by_role("link", name="Use another way").click()
        person.give_password()
        person.is_at("/whoami")
    finally:
        realm.heal()


def test_where_it_is_required_a_password_leads_to_the_provider_and_an_exempt_administrator_gets_in_without(
    realm: Realm, visit: Visit, mailbox: Mailbox
) -> None:
    """The last test of this module: acme requires it from now on."""
    adam, mara = visit(ADMIN), visit("mara@acme.example")
    adam.own.write("UPDATE accounts SET role = 'admin' WHERE identifier = 'mara@acme.example'")
    keys = {person.email: person.set_up_totp() for person in (adam, mara)}
    adam.open("/admin/sso/required")
    for person in (adam, mara):
        adam.page.get_by_role("checkbox", name=person.email).check()
    adam.press("Save")
    adam.press("Require single sign-on")
    expect(adam.page.get_by_role("main")).to_contain_text("people at your company have to sign in")
    adam.press("Require it")
    expect(adam.page.get_by_role("status")).to_contain_text("Everyone at your company now has to sign in")

    person = visit("crowd9@acme.example")
    person.open("/whoami")
    person.give_password()
    expect(person.page.get_by_role("main")).to_contain_text("requires you to use its own sign-in page")
    person.press("Continue")
    person.choose()
    person.arrive(mailbox)

    mara.context.clear_cookies()
    mara.open("/whoami")
    mara.give_password()
    mara.page.get_by_label("6-digit code").fill(code_of(mara.own, mara.email, keys[mara.email]))
    mara.press("Continue")
    mara.is_at("/whoami")
    mailbox.wait_for(ADMIN, "without single sign-on", said="mara@acme.example")
