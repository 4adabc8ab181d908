"""Somebody with a browser: cookies are kept, forms are filled in as they stand on the page."""

from __future__ import annotations

import asyncio
import html
import itertools
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser

import pyotp
from sqlalchemy import select, update

from gateway.factors.totp.codes import PERIOD
from gateway.store import Store
from gateway.store.schema import accounts, totp
from tests.support.authenticator import unbase64url
from tests.support.gateway import COOKIE, PASSWORD, PEOPLE, Gateway
from tests.support.raw import Response, get

CHROME = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36"
NAVIGATION = ("Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: same-origin")


class Person:
    def __init__(
        self, gateway: Gateway, who: str = "employee", *, source: str = "127.0.0.1", browser: str = CHROME
    ) -> None:
        self.gateway = gateway
        self.email = PEOPLE[who][0] if who in PEOPLE else who
        self.source = source
        self.browser = browser
        self.cookies: dict[str, str] = {}
        self.headers: tuple[str, ...] = ()
        self.page: Response | None = None

    @property
    def cookie_line(self) -> str:
        # As a list: a test may send several requests of one browser at once, and each may be answered with cookies.
        return "Cookie: " + "; ".join(f"{name}={value}" for name, value in list(self.cookies.items()))

    @property
    def is_signed_in(self) -> bool:
        return self.gateway.exchange(get("/probe", self.cookie_line, self.browser), source=self.source).status == 200

    def open(self, path: str, *, follow: bool = True) -> Response:
        """Open a page as a navigation; redirects are followed within the site."""
        response = self.gateway.exchange(
            get(path, self.cookie_line, self.browser, *self.headers, *NAVIGATION), source=self.source
        )
        return self._arrive(response, follow)

    def send(self, path: str, fields: Mapping[str, str], *, follow: bool = False) -> Response:
        response = self.gateway.post(
            path, fields, self.cookie_line, self.browser, *self.headers, "Sec-Fetch-Mode: navigate",
            "Sec-Fetch-Site: same-origin", source=self.source,
        )  # fmt: skip
        return self._arrive(response, follow)

    def submit(self, at: str, *, follow: bool = True, **fields: str) -> Response:
        """Send the form of the current page whose action is `at`, with its hidden fields."""
        assert self.page is not None
        hidden = hidden_fields(self.page.body.decode(), at)
        return self.send(at, {**hidden, **fields}, follow=follow)

    def give_password(self, target: str = "/probe", password: str = PASSWORD) -> Response:
        self.open(f"/login?next={target}")
        return self.submit("/login", email=self.email, password=password)

    def sign_in(self, secret: str = "", target: str = "/probe") -> Response:
        """Sign in with password, and with a fresh code where `secret` is given."""
        response = self.give_password(target)
        if secret:
            response = self.submit("/login/totp", code=code_of(self.gateway, self.email, secret))
        return response

    def enrol(self) -> tuple[str, list[str]]:
        """Set TOTP up on the security page; return the key and the backup codes."""
        self.open("/me/security/totp")
        return self.enrol_here()

    def enrol_here(self, to: str = "") -> tuple[str, list[str]]:
        """The same on the page that is open; it goes on to `to`, if that is given."""
        assert self.page is not None
        key = key_on(self.page)
        done = self.submit("/me/security/totp", code=code_of(self.gateway, self.email, key))
        assert done.status == 200, (done.status, done.get("location"))
        assert f'href="{html.escape(to)}' in done.body.decode()
        return key, codes_on(done)

    def _arrive(self, response: Response, follow: bool) -> Response:
        for line in response.all("set-cookie"):
            pair, _, flags = line.partition(";")
            name, _, value = pair.partition("=")
            if "max-age=0" in flags.lower():
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        self.page = response
        location = response.get("location")
        if follow and response.status == 303 and location:
            return self.open(location)
        return response


class Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((named.get("action", ""), {}))
        elif tag == "input" and self.forms and named.get("type") == "hidden":
            self.forms[-1][1][named["name"]] = named.get("value", "")


def hidden_fields(page: str, action: str) -> dict[str, str]:
    parser = Forms()
    parser.feed(page)
    return next((fields for found, fields in parser.forms if found == action), {})


def unsealed(response: Response, email: str) -> str:
    """Return where a response leads, with how many bytes the sealed email has beside it in place of its value."""
    location = str(response.get("location"))
    found = re.search("for=([A-Za-z0-9_-]+)", location)
    assert found, location
    return location.replace(found[1], str(len(unbase64url(found[1])) - len(email)))


def key_on(page: Response) -> str:
    found = re.search(r'id="key">([A-Z2-7 ]+)<', page.body.decode())
    assert found, page.body.decode()[:3000]
    return found[1].replace(" ", "")


def codes_on(page: Response) -> list[str]:
    return re.findall(r"<li><code>([A-Z2-9-]{11})</code>", page.body.decode())


AROUND = range(-45, 6)  # steps: all whose codes the gateway takes, or calls late, in the next two minutes
_last: dict[tuple[int, str], int] = {}


def code_of(gateway: Gateway, who: str, key: str) -> str:
    """Return a code that was not used yet: of this step, or of the next one. Both are good for half a minute.

    Whoever has used both would have to wait. In place of that, the store says that they were used a while ago.
    """
    at = (gateway.port, key)
    current = int(time.time()) // PERIOD
    step = max(current, _last.get(at, 0) + 1)
    code, *used = (pyotp.TOTP(key).at((step - back) * PERIOD) for back in range(3))
    is_repeated = at in _last and code in used  # by chance, and whoever types it would be told that it was used
    if step > current + 1 or is_repeated:
        with ThreadPoolExecutor(1) as thread:  # this one may have an event loop already: Playwright keeps one
            thread.submit(asyncio.run, set_back(gateway.store_url, who)).result()
        step = current
    _last[at] = step
    return pyotp.TOTP(key).at(step * PERIOD)


def codes_around(key: str) -> set[str]:
    """Return all codes that would not be plainly wrong now or soon."""
    now = int(time.time()) // PERIOD
    return {pyotp.TOTP(key).at((now + at) * PERIOD) for at in AROUND}


def wrong_code(key: str) -> str:
    """Return a code that is wrong. Of a million, some are right by chance."""
    right = codes_around(key)
    return next(code for number in itertools.count() if (code := f"{number:06}") not in right)


async def set_back(url: str, identifier: str) -> None:
    """Let the codes that an account used last have been used three steps earlier."""
    store = Store.open(url)
    account = select(accounts.c.id).where(accounts.c.identifier == identifier).scalar_subquery()
    async with store.transaction() as tx:
        earlier = update(totp).where(totp.c.account == account).values(last_step=totp.c.last_step - 3)
        assert (await tx.execute(earlier)).rowcount == 1, identifier
    await store.close()


SESSION = COOKIE
