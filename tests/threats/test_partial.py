"""THREATS 28: what has proved a part proves nothing. Every route and every method, after each step of signing in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.app.nouns import ROUTES
from gateway.policy.decision import Need
from gateway.wire.cookies import SENT_COOKIE
from tests.support.gateway import COOKIE, ORIGIN, PROXY, Gateway
from tests.support.mail import Mailbox
from tests.support.owner import owner_before_link
from tests.support.person import Person
from tests.support.raw import Response, get
from tests.support.upstream import RecordingUpstream
from tests.threats.test_factors import ATTEMPT
from tests.threats.test_links import make_owner

STEPS = ("member after the password", "owner after the password", "owner after password and code", "new owner")
UPSTREAM = ("/", "/x", "/platform", "/admin", "/team", "/x//y")
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13")
WORDS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "MOVE", "BIND")


@pytest.fixture(scope="module")
def partial(step: str, own: Gateway, mailbox: Mailbox) -> Person:
    """Somebody who has proved a part of what they must."""
    match step:
        case "member after the password":
            Person(own, source="127.0.0.4").sign_in()
            enrolled = Person(own, source="127.0.0.4")
            enrolled.sign_in()
            enrolled.enrol()
            person = Person(own)
            person.give_password("/platform")
        case "owner after the password":
            person = Person(own, "owner")
            person.give_password("/platform")
        case "owner after password and code":
            person, _, _ = owner_before_link(own, mailbox)
        case _:
            person = Person(own, "manager")
            person.sign_in()
            make_owner(own, person)
            return person
    assert ATTEMPT in person.cookies
    assert COOKIE not in person.cookies
    return person


@pytest.fixture(scope="module", params=STEPS)
def step(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def own(
    recorder: RecordingUpstream, mailbox: Mailbox, step: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway for each step, and all tests of it: none of them may come any further."""
    mailbox.mails.clear()
    running = (
        Gateway(tmp_path_factory.mktemp("own"), f"127.0.0.1:{recorder.port}", mail_port=mailbox.port).seed().start()
    )
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


def needy() -> list[str]:
    """Return a path of each page of the gateway that is not for everybody."""
    found = [spell(route.path) for route in ROUTES if route.need not in (Need.NOBODY, Need.LEAVING, Need.PROXY)]
    assert len(found) > 10
    return found


def spell(path: str) -> str:
    return path.replace("{token}", "a" * 43).replace("{name}", "login.js")


def ask(person: Person, method: str, path: str, *lines: str, source: str = "") -> Response:
    """Send a request as a page of this very site would, with everything that this browser has."""
    head = get(
        path, person.cookie_line, person.browser, f"Origin: {ORIGIN}", "Content-Length: 0", *lines, method=method
    )
    return person.gateway.exchange(head, source=source or person.source)


def is_refused(response: Response) -> bool:
    """Whether it opens nothing and gives nothing, but for the note of where somebody was going."""
    cookies = [line.partition("=")[0] for line in response.all("set-cookie")]
    return response.status == 401 and set(cookies) <= {SENT_COOKIE.decode("ascii")}


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_no_page_and_nothing_of_the_application_opens(
    partial: Person, upstream: RecordingUpstream, accept: str
) -> None:
    opened = []
    for path in (*needy(), *UPSTREAM):
        for method in WORDS:
            answer = ask(partial, method, path, f"Accept: {accept}")
            to = answer.get("location") or ""
            is_led_to_prove = accept == "text/html" and answer.status == 303 and to.startswith("/login")
            if not (is_led_to_prove or is_refused(answer)):
                opened.append((method, path, answer.status))
    assert opened == []
    assert upstream.requests == []


def test_forward_auth_vouches_for_nothing(partial: Person, upstream: RecordingUpstream) -> None:
    for path in (*needy(), *UPSTREAM[:5]):
        for method in WORDS:
            hints = (f"X-Original-Method: {method}", f"X-Original-URI: {path}")
            answer = ask(partial, "GET", "/_gateway/auth", *hints, source=PROXY)
            assert answer.status in (401, 403), (method, path)
            assert answer.get("remote-user") is None
    assert upstream.requests == []


def test_no_websocket_opens(partial: Person, upstream: RecordingUpstream) -> None:
    for path in (*needy(), *UPSTREAM):
        assert is_refused(ask(partial, "GET", path, *UPGRADE)), path
    assert upstream.requests == []


def test_the_cookie_of_an_attempt_is_no_session_under_another_name(
    own: Gateway, partial: Person, upstream: RecordingUpstream
) -> None:
    forged = f"Cookie: {COOKIE}={partial.cookies.get(ATTEMPT, 'a' * 43)}"
    for path in (*needy(), *UPSTREAM):
        assert own.exchange(get(path, forged)).status == 401
    assert upstream.requests == []


def test_the_pages_for_everybody_give_no_session_away(partial: Person, upstream: RecordingUpstream) -> None:
    for route in ROUTES:
        if route.need not in (Need.NOBODY, Need.LEAVING, Need.PROXY):
            continue
        for method in WORDS:
            answer = ask(partial, method, spell(route.path), "Accept: text/html")
            given = [
                line for line in answer.all("set-cookie") if line.startswith(f"{COOKIE}=") and "Max-Age=0" not in line
            ]
            assert given == [], (method, route.path)
    assert not partial.is_signed_in
    assert upstream.requests == []
