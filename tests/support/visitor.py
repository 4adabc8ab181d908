"""Somebody at a real browser, who fills in what the pages of signing in ask for."""

from __future__ import annotations

import io
from urllib.parse import parse_qs, unquote, urlsplit

import zxingcpp
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.gateway import PASSWORD, Gateway
from tests.support.mail import Mailbox, links_in
from tests.support.owner import LINK_MAIL
from tests.support.person import code_of


class Visitor:
    """One tab of a profile. `key` is the TOTP key once it is known, `codes` the backup codes."""

    def __init__(self, gateway: Gateway, mailbox: Mailbox, context: BrowserContext, email: str, key: str = "") -> None:
        self.gateway = gateway
        self.mailbox = mailbox
        self.context = context
        self.email = email
        self.url = gateway.public_url
        self.key = key
        self.codes: list[str] = []
        self.page = context.new_page()

    def in_another(self, context: BrowserContext) -> Visitor:
        """The same person in another browser."""
        return Visitor(self.gateway, self.mailbox, context, self.email, self.key)

    def open(self, path: str) -> Page:
        self.page.goto(f"{self.url}{path}")
        return self.page

    def press(self, name: str) -> None:
        """Press a button, and wait for all of the page to which that leads: a click ends when it has only begun."""
        self.page.get_by_role("button", name=name, exact=True).click()
        self.page.wait_for_load_state()

    def give_password(self, target: str = "/whoami", password: str = PASSWORD) -> None:
        self.open(target)
        self.page.get_by_label("Email").fill(self.email)
        self.page.get_by_label("Password").fill(password)
        self.press("Sign in")

    def give_code(self, code: str = "") -> None:
        """Type a code of the phone."""
        self.page.get_by_label("6-digit code").fill(code or self.new_code())
        self.press("Continue")

    def new_code(self) -> str:
        return code_of(self.gateway, self.email, self.key)

    def give_backup_code(self, code: str) -> None:
        self.page.get_by_label("Backup code").fill(code)
        self.press("Continue")

    def scan(self) -> None:
        """Read the QR code off the screen, as a phone does."""
        picture = Image.open(io.BytesIO(self.page.locator("svg.qr").screenshot()))
        # Only QR codes: a line through the dots passes for a linear barcode in one picture of six hundred.
        (found,) = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode)
        address = urlsplit(found.text)
        said = parse_qs(address.query)
        assert (address.scheme, address.netloc) == ("otpauth", "totp")
        assert unquote(address.path) == f"/OtiumWork:{self.email}"
        assert said["issuer"] == ["OtiumWork"]
        self.key = said["secret"][0]

    def set_up(self) -> None:
        """Set TOTP up on the page that is open, and keep the backup codes."""
        self.scan()
        self.page.get_by_label("Enter the 6-digit code").fill(self.new_code())
        self.press("Turn on")
        expect(self.page.get_by_role("heading", level=1)).to_have_text("Save your backup codes")
        self.codes = self.page.locator("#codes code").all_inner_texts()

    def keep_codes(self) -> None:
        self.page.get_by_role("link", name="I’ve saved my codes").click()

    def link(self, count: int) -> str:
        """Return the latest sign-in link, once `count` of them have come."""
        return link_to(self.mailbox, self.email, count)

    def has_heading(self, text: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(text)

    def is_refused(self, text: str) -> None:
        """The page says so, to the eye and to a screen reader, and the field is marked."""
        alert = self.page.get_by_role("alert")
        expect(alert).to_contain_text(text)
        expect(self.page.locator("[aria-invalid=true]").first).to_be_visible()

    def is_in(self) -> None:
        """The application knows who it is."""
        expect(self.page.get_by_role("row", name="Remote-Email")).to_contain_text(self.email)


def link_to(mailbox: Mailbox, email: str, count: int) -> str:
    """Return the latest sign-in link that was mailed to somebody, once there are `count` of them."""
    return links_in(mailbox.wait_for(email, LINK_MAIL, count))[0]
