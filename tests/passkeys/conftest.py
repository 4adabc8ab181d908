"""A gateway at http://localhost, where Chromium allows passkeys, and browsers with virtual authenticators."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Route, expect

from tests.support.browser import SHELL, chromium
from tests.support.gateway import ACCESS, PASSWORD, Gateway, free_port
from tests.support.mail import Mailbox
from tests.support.upstream import RecordingUpstream


class Person:
    """A browser profile with an authenticator, and somebody in front of it."""

    def __init__(self, own: Gateway, context: BrowserContext, email: str) -> None:
        self.own = own
        self.email = email
        self.context = context
        self.page: Page = context.new_page()
        self.tools: CDPSession = context.new_cdp_session(self.page)
        self.tools.send("WebAuthn.enable")

    def plug_in(self, **options: object) -> str:
        """Add a virtual authenticator, by default a phone's or laptop's own; return its id."""
        wanted = {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
            "isUserVerified": True, "automaticPresenceSimulation": True,
        }  # fmt: skip
        added = self.tools.send("WebAuthn.addVirtualAuthenticator", {"options": wanted | options})
        return str(added["authenticatorId"])

    def credentials(self, authenticator: str) -> list[dict[str, object]]:
        found = self.tools.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})
        return list(found["credentials"])

    def without_autofill(self) -> None:
        """From the next page on, wait for the button: the virtual authenticator answers whatever is asked at once."""
        self.context.add_init_script("PublicKeyCredential.isConditionalMediationAvailable = async () => false")

    def give_up(self, authenticator: str) -> None:
        self.tools.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": authenticator})

    def tell(self, authenticator: str, command: str, **what: object) -> None:
        """Change an authenticator by a command of the protocol, such as setUserVerified."""
        self.tools.send(f"WebAuthn.{command}", {"authenticatorId": authenticator} | what)

    def events(self) -> list[str]:
        rows = self.own.write("SELECT event FROM audit WHERE identifier = :who ORDER BY id", who=self.email)
        return [event for (event,) in rows]

    def before(self, path: str, change: Callable[[], object]) -> None:
        """Let `change` happen right before the next request for `path` arrives, which waits for it."""

        def hold(route: Route) -> None:
            change()
            route.continue_()

        self.page.route(f"{self.own.public_url}{path}", hold, times=1)

    def age_proofs(self) -> None:
        """Have all proofs of this person's sessions be an hour old."""
        whose = "account = (SELECT id FROM accounts WHERE identifier = :who)"
        for session, proofs in self.own.write(f"SELECT id, proofs FROM sessions WHERE {whose}", who=self.email):
            aged = json.dumps([[name, at - 3_600, *more] for name, at, *more in json.loads(proofs)])
            self.own.write("UPDATE sessions SET proofs = :aged WHERE id = :id", aged=aged, id=session)
        self.own.announce()

    def open(self, path: str) -> None:
        self.page.goto(f"{self.own.public_url}{path}")

    def is_at(self, path: str) -> None:
        self.page.wait_for_url(f"{self.own.public_url}{path}")

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).click()

    def has_heading(self, text: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(text)

    def is_told(self, text: str) -> None:
        """An alert says so, and has the focus, so that it is read out."""
        alert = self.page.get_by_role("alert")
        expect(alert).to_contain_text(text)
        expect(alert).to_be_focused()

    def is_refused(self) -> None:
        """The browser got no answer from an authenticator, and the page says what may be the matter."""
        self.is_told("it was cancelled, took too long, or there’s no matching passkey")

    def give_password(self, path: str = "/whoami") -> None:
        self.open(path)
        self.page.get_by_label("Email").fill(self.email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.press("Sign in")

    def sign_in(self) -> None:
        """Give the password, where a test is about what follows."""
        url = self.own.public_url
        fields = {"email": self.email, "password": PASSWORD, "next": "/whoami"}
        done = self.context.request.post(f"{url}/login", form=fields, headers={"Origin": url})
        assert done.status == 200, done.status

    def add_passkey(self) -> None:
        """Add one as somebody who has just signed in, and look at the backup codes that come with the first."""
        self.open("/me/security/passkeys")
        self.press("Add passkey")
        expect(self.page.get_by_role("heading", name="Save your backup codes")).to_be_visible()


MakePerson = Callable[[str], Person]


def with_passkey(person: MakePerson, email: str, **options: object) -> tuple[Person, str]:
    """Somebody who has added a passkey, and signed out."""
    who = person(email)
    authenticator = who.plug_in(**options)
    who.sign_in()
    who.add_passkey()
    who.context.clear_cookies()
    return who, authenticator


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    running = Mailbox(free_port()).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def access() -> str:
    """Return the access file of a module."""
    return ACCESS


@pytest.fixture(scope="module")
def own(
    recorder: RecordingUpstream, mailbox: Mailbox, access: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    address = f"127.0.0.1:{recorder.port}"
    gateway = Gateway(tmp_path_factory.mktemp("own"), address, access=access, mail_port=mailbox.port)
    gateway.public_url = f"http://localhost:{gateway.port}"
    gateway.write_settings(address)
    gateway.seed().start()
    yield gateway
    assert gateway.stop() == 0, gateway.logged()[-3000:]
    assert "Traceback" not in gateway.logged()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(SHELL) as running:
        yield running


@pytest.fixture
def person(own: Gateway, browser: Browser) -> Iterator[Callable[[str], Person]]:
    """Make people, each in a fresh profile."""
    made: list[BrowserContext] = []

    def make(email: str) -> Person:
        made.append(browser.new_context())
        return Person(own, made[-1], email)

    yield make
    for context in made:
        context.close()
