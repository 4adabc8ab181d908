"""The whole way: Chromium, nginx with TLS, the gateway, the stand-in application under gunicorn, and an SMTP server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, BrowserContext

from gateway.demo.run import ACCESS as DEMO_ACCESS
from tests.support import servers
from tests.support.browser import SHELL, chromium
from tests.support.gateway import Gateway, free_port
from tests.support.mail import Mailbox

SIGNUP = {"SIGNUP__MODE": "domains", "SIGNUP__DOMAINS": '{"acme.example" = "acme"}'}
SSO = {"SSO__ON": "true", "SSO__PRIVATE_NETWORKS": "true", "TOKENS__ON": "true"}
PAYMENT = '{ path = "/checkout/return", cross_site_post = true },'
OWNERS = [f"crowd{n}@acme.example" for n in range(40, 50)]


@dataclass(frozen=True, slots=True)
class Site:
    """`url` is what a person types; `port` where nginx listens."""

    url: str
    port: int
    gateway: Gateway
    mailbox: Mailbox


@pytest.fixture(scope="module")
def site_store(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return where the site's store is: "" is a SQLite file of its own; with --on=postgresql, a database."""
    if request.config.getoption("--on") == "sqlite":
        yield ""
        return
    server, copies = request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_copies")
    name = copies.take()
    yield server.url_of(name)
    copies.give_back(name)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, site_store: str) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    app, address = servers.application(folder)
    mailbox = Mailbox(free_port()).start()
    more = ", ".join(f'"{email}"' for email in OWNERS)
    access = DEMO_ACCESS.replace("owners = [", f"owners = [{more}, ").replace("rules = [", f"rules = [{PAYMENT}")
    gateway = Gateway(
        folder, address, store_url=site_store, access=access, mail_port=mailbox.port, changes=SIGNUP | SSO
    ).seed().start()  # fmt: skip
    proxy, port = servers.nginx(folder, "nginx.conf", {"server 127.0.0.1:8000;": f"server 127.0.0.1:{gateway.port};"})
    yield Site("https://app.example.com", port, gateway, mailbox)
    proxy.stop()
    gateway.stop()
    mailbox.stop()
    app.stop()


@pytest.fixture(scope="module")
def program(request: pytest.FixtureRequest) -> str:
    """Return which Chromium tests use: the engine alone, unless they ask for another one."""
    return str(getattr(request, "param", SHELL))


@pytest.fixture(scope="module")
def browser(site: Site, program: str) -> Iterator[Browser]:
    with chromium(program, site.port) as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh browser profile."""
    fresh = browser.new_context(ignore_https_errors=True)
    yield fresh
    fresh.close()
