"""Another person signs in at a browser: nothing of the former one is left there, in the application's eyes either.

The application keeps the first user whom it saw: in a cookie with a path, in one with a domain, in one that names
neither, in localStorage, in sessionStorage and in a cache. In a real Chromium, through nginx and over plain http. Its
page names an icon, because Chromium asks for /favicon.ico when it likes, which may be after the former person has left.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.support import servers
from tests.support.browser import SHELL, chromium
from tests.support.gateway import PASSWORD, PEOPLE, Gateway
from tests.support.upstream import Recorded, RecordingUpstream, Talk

KEPT = {
    "deep": "Path=/pgadmin4",
    "wide": "Domain=example.com; Path=/",
    "both": "Domain=app.example.com; Path=/pgadmin4/x",
    "folder": "HttpOnly",
    "root": "Path=/",
}
PAGE = """<!doctype html><title>app</title><link rel="icon" href="data:,"><script>
addEventListener("load", async () => {
  const who = %s;
  localStorage.user ??= who;
  sessionStorage.user ??= who;
  const cache = await caches.open("user");
  if (!await cache.match("/who")) await cache.put("/who", new Response(who));
  document.title = [localStorage.user, sessionStorage.user, await (await cache.match("/who")).text()].join(" ");
});
</script>"""


def keep_first_user(talk: Talk, request: Recorded) -> None:
    (who,) = request.all("remote-email")
    sent = "; ".join(request.all("cookie"))
    lines = [f"Set-Cookie: {name}={who}; {rest}\r\n" for name, rest in KEPT.items() if f"{name}=" not in sent]
    body = (PAGE % json.dumps(who)).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n{''.join(lines)}\r\n"
    talk.send(head.encode() + body)


@pytest.fixture(scope="module", params=["https://app.example.com", "http://localhost"])
def own(
    request: pytest.FixtureRequest, recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("own")
    gateway = Gateway(folder, f"127.0.0.1:{recorder.port}", public_url=request.param)
    if request.param == "http://localhost":
        gateway.public_url = f"http://localhost:{gateway.port}"
        gateway.write_settings(f"127.0.0.1:{recorder.port}")
    gateway.seed().start()
    yield gateway
    assert gateway.stop() == 0, gateway.logged()[-3000:]


@pytest.fixture(scope="module")
def browser(own: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("nginx")
    proxy, port = servers.nginx(folder, "nginx.conf", {"server 127.0.0.1:8000;": f"server 127.0.0.1:{own.port};"})
    with chromium(SHELL, port) as running:
        yield running
    proxy.stop()


def visit(page: Page, own: Gateway, who: str) -> str:
    """Open the application, sign in where that is asked, and return whom it keeps in the browser's storage."""
    for path in ("/pgadmin4/", "/pgadmin4/x/y"):
        page.goto(f"{own.public_url}{path}")
        if "/login?" in page.url:
            page.get_by_label("Email").fill(PEOPLE[who][0])
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in", exact=True).click()
            page.wait_for_url(f"{own.public_url}{path}")
    page.wait_for_function("document.title.includes('@')")
    return page.title()


def leave(page: Page, own: Gateway, who: str, how: str) -> None:
    """Let the first person's session end."""
    match how:
        case "signs out":
            page.goto(f"{own.public_url}/logout")
            page.get_by_role("button", name="Sign out").click()
            page.wait_for_url("**/login?signed-out=1")
        case "is revoked":
            assert own.cli("session", "revoke", "--email", PEOPLE[who][0]).returncode == 0
        case _:
            page.context.clear_cookies(name=re.compile("__Host-otium_session"))  # its Max-Age is over


def keepers(context: BrowserContext) -> set[tuple[str, str]]:
    """Return which of the application's cookies there are, and of whom."""
    return {(cookie["name"], cookie["value"]) for cookie in context.cookies() if cookie["name"] in KEPT}


@pytest.mark.parametrize("how", ["is revoked", "expires", "signs out"])
def test_nothing_of_the_former_person_reaches_the_application(
    own: Gateway, context: BrowserContext, upstream: RecordingUpstream, how: str
) -> None:
    for path in ("/pgadmin4/", "/pgadmin4/x/y"):
        upstream.scripts[path] = keep_first_user
    page, alice, bob = context.new_page(), PEOPLE["employee"][0], PEOPLE["manager"][0]
    assert visit(page, own, "employee") == f"{alice} {alice} {alice}"
    expected = set(KEPT) if own.public_url.startswith("https") else {"deep", "folder", "root"}
    assert {name for name, _ in keepers(context)} == expected
    leave(page, own, "employee", how)
    upstream.requests.clear()
    assert visit(page, own, "manager") == f"{bob} {bob} {bob}"
    assert keepers(context) == {(name, bob) for name in expected}
    seen = [request.head.decode() for request in upstream.requests]
    assert len(seen) >= 2
    assert [head for head in seen if alice in head] == []


def test_what_the_same_person_kept_stays(own: Gateway, context: BrowserContext, upstream: RecordingUpstream) -> None:
    for path in ("/pgadmin4/", "/pgadmin4/x/y"):
        upstream.scripts[path] = keep_first_user
    page, alice = context.new_page(), PEOPLE["employee"][0]
    visit(page, own, "employee")
    page.evaluate("document.cookie = 'theme=dark; path=/; max-age=1000'; localStorage.language = 'de'")
    for how in ("is revoked", "expires"):
        leave(page, own, "employee", how)
        assert visit(page, own, "employee") == f"{alice} {alice} {alice}"
        assert page.evaluate("[document.cookie.includes('theme=dark'), localStorage.language]") == [True, "de"]


def test_more_cookies_than_fit_one_answer_go_as_well(
    own: Gateway, context: BrowserContext, upstream: RecordingUpstream
) -> None:
    for path in ("/pgadmin4/", "/pgadmin4/x/y"):
        upstream.scripts[path] = keep_first_user
    page = context.new_page()
    visit(page, own, "employee")
    page.evaluate("for (let n = 0; n < 60; n++) document.cookie = `many${n}=alice; path=/; max-age=1000`")
    leave(page, own, "employee", "is revoked")
    visit(page, own, "manager")
    assert [cookie["name"] for cookie in context.cookies() if "alice" in cookie["value"]] == []
