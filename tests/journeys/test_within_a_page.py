"""A session ends while a page is open: what the page then does leads to signing in, in a real Chromium.

htmx itself runs here (vendor/, version 2.0.11 from npm, under the Zero-Clause BSD licence).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import chromium
from tests.support.gateway import PASSWORD, PEOPLE, Gateway
from tests.support.upstream import RecordingUpstream

HTMX = (Path(__file__).parent / "vendor" / "htmx-2.0.11.min.js").read_bytes()
BOARD = b"""<!doctype html><title>board</title><script src="/htmx.js"></script>
<button hx-get="/part" hx-target="#part">Load</button> <button hx-post="/part">Save</button> <p id="part"></p>
<a href="/report.pdf" download>Report</a> <button onclick="document.querySelector('iframe').src = '/widget'">Frame</button>
<iframe></iframe>"""
WORKER = b"""addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => event.request.mode === "navigate" && event.respondWith(fetch(event.request.url,
  {headers: {Accept: event.request.headers.get("Accept")}})));"""


def answer(content: bytes, kind: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("own"), f"127.0.0.1:{recorder.port}", public_url="http://localhost")
    gateway.public_url = f"http://localhost:{gateway.port}"
    gateway.write_settings(f"127.0.0.1:{recorder.port}")
    gateway.seed().start()
    yield gateway
    assert gateway.stop() == 0, gateway.logged()[-3000:]


@pytest.fixture(scope="module")
def browser(program: str) -> Iterator[Browser]:
    with chromium(program) as running:
        yield running


@pytest.fixture
def board(own: Gateway, browser: Browser, upstream: RecordingUpstream) -> Iterator[Page]:
    """A page of the application whose session has ended."""
    upstream.answers("/board", answer(BOARD, "text/html"))
    upstream.answers("/htmx.js", answer(HTMX, "text/javascript"))
    upstream.answers("/worker.js", answer(WORKER, "text/javascript"))
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{own.public_url}/board?x=1")
    page.get_by_label("Email").fill(PEOPLE["employee"][0])
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/board?x=1")
    yield page
    context.close()


def revoke(own: Gateway) -> None:
    assert own.cli("session", "revoke", "--email", PEOPLE["employee"][0]).returncode == 0


@pytest.mark.parametrize("name", ["Load", "Save"])
def test_a_button_of_htmx_leads_to_signing_in_and_back_to_its_page(own: Gateway, board: Page, name: str) -> None:
    board.wait_for_function("window.htmx")
    revoke(own)
    board.get_by_role("button", name=name).click()
    board.wait_for_url(re.compile(r"/login\?next=/board%3Fx%3D1"))
    board.get_by_label("Email").fill(PEOPLE["employee"][0])
    board.get_by_label("Password").fill(PASSWORD)
    board.get_by_role("button", name="Sign in", exact=True).click()
    board.wait_for_url("**/board?x=1")


def test_a_frame_leads_the_whole_window_to_signing_in(own: Gateway, board: Page) -> None:
    revoke(own)
    board.get_by_role("button", name="Frame").click()
    board.frame_locator("iframe").get_by_role("link", name="Sign in").click()
    board.wait_for_url(re.compile(r"/login\?next=/board%3Fx%3D1"))
    expect(board.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_a_download_fails_and_saves_no_page(own: Gateway, board: Page) -> None:
    revoke(own)
    with board.expect_download() as waiting:
        board.get_by_role("link", name="Report").click()
    assert waiting.value.failure() is not None


def test_a_service_worker_shows_a_way_to_sign_in(own: Gateway, board: Page) -> None:
    board.evaluate("navigator.serviceWorker.register('/worker.js').then(() => navigator.serviceWorker.ready)")
    board.wait_for_function("navigator.serviceWorker.controller")
    revoke(own)
    board.goto(f"{own.public_url}/board?x=2")
    board.get_by_role("link", name="Sign in").click()
    board.wait_for_url(re.compile(r"/login\?next=/board%3Fx%3D2"))
