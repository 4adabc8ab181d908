"""A form whose session has expired is not lost; and it is sent once, by its sender, when they say so."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.support.gateway import COOKIE, HOST, ORIGIN, PASSWORD, Gateway, form
from tests.support.person import CHROME, Person
from tests.support.raw import Response, get
from tests.support.upstream import RecordingUpstream

FIELDS = {"project": "Acme <rollout>", "hours": "7½", "password": "hunter2hunter2"}
LOST = "Your session ended before your form was sent, and we couldn’t save it.".encode()
FILE = b'--X\r\nContent-Disposition: form-data; name="receipt"; filename="a.txt"\r\n\r\nweek\r\n--X--\r\n'
FORM = ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: same-origin", f"Referer: {ORIGIN}/timesheets?week=47")


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("own"), f"127.0.0.1:{recorder.port}").seed().start()
    yield running
    assert running.stop() == 0, running.logged()[-3000:]


IDLE = 604_800  # seconds without a request after which a member's session is over


def expire(gateway: Gateway, person: Person) -> None:
    """Let every session be older than any may be."""
    gateway.write("UPDATE sessions SET started_at = started_at - 40 * 86400")
    assert not person.is_signed_in


def age(gateway: Gateway, seconds: int) -> None:
    gateway.write("UPDATE kept_forms SET kept_at = kept_at - :seconds", seconds=seconds)


def press(person: Person, path: str = "/timesheets?week=47", body: bytes = b"", content_type: str = "") -> Response:
    """Send a form of the app as a browser does."""
    content = body or urlencode(FIELDS).encode()
    kind = content_type or "application/x-www-form-urlencoded"
    head = "\r\n".join(
        [f"POST {path} HTTP/1.1", f"Host: {HOST}", f"Origin: {ORIGIN}", f"Content-Type: {kind}", "Accept: text/html",
         f"Content-Length: {len(content)}", person.cookie_line, CHROME, *FORM, "", ""]
    )  # fmt: skip
    return person._arrive(person.gateway.exchange(head.encode("latin-1") + content), False)


@pytest.fixture
def late(own: Gateway) -> Person:
    """Somebody whose session has ended by idling, with a form open."""
    person = Person(own)
    sign_in_and_idle(person)
    return person


def sign_in_unseen(person: Person) -> None:
    """Sign in, and use the session for nothing: a worker that had seen it in use would know better than the store."""
    person.open("/login")
    person.submit("/login", follow=False, email=person.email, password=PASSWORD)


def sign_in_and_idle(person: Person, ended: str = f"seen_at = seen_at - {IDLE} - 60") -> None:
    sign_in_unseen(person)
    person.gateway.write(f"UPDATE sessions SET {ended}")


def sign_in_again(person: Person, to: str) -> Response:
    person.open(to)
    return person.submit("/login", email=person.email, password="correct horse battery staple")


def test_a_form_arrives_after_signing_in_again(own: Gateway, late: Person, upstream: RecordingUpstream) -> None:
    kept = press(late)
    assert kept.status == 303
    where = kept.get("location") or ""
    assert re.fullmatch(r"/login/form/[\w-]{43}", where)
    assert "We saved your form. Sign in to review and send it." in late.open(where).body.decode()
    upstream.reset()
    page = sign_in_again(late, where).body.decode()
    assert "Acme &lt;rollout&gt;" in page
    assert "7½" in page
    assert "hunter2" not in page
    assert "hunter2hunter2" in late.open(f"{where}?show=1").body.decode()
    assert upstream.requests == []
    sent = late.send(where, {})
    assert sent.status == 200
    (request,) = upstream.requests
    assert request.head.startswith(b"POST /timesheets?week=47 HTTP/1.1\r\n")
    assert request.body == urlencode(FIELDS).encode()
    assert request.all("remote-email") == [late.email]
    assert request.all("content-type") == ["application/x-www-form-urlencoded"]
    assert request.all("referer") == [f"{ORIGIN}/timesheets?week=47"]
    again = late.send(where, {})
    assert (again.status, again.get("location")) == (303, where)
    assert late.open(where).status == 410
    assert len(upstream.requests) == 1


def press_button(person: Person, where: str, at: str, origin: str = ORIGIN) -> Response:
    return person.gateway.exchange(button(person, where, at, origin))


def button(person: Person, where: str, at: str, origin: str = ORIGIN) -> bytes:
    """Return what the button on the page of a kept form sends: no field, and where it stood."""
    return form(
        at, {}, person.cookie_line, CHROME, "Sec-Fetch-Mode: navigate", f"Referer: {ORIGIN}{where}", origin=origin
    )


def test_the_answer_is_shown_under_the_address_of_the_form(
    own: Gateway, late: Person, upstream: RecordingUpstream
) -> None:
    where = press(late).get("location") or ""
    sign_in_again(late, where)
    upstream.reset()
    pressed = press_button(late, where, at=where)
    assert (pressed.status, pressed.get("location")) == (307, f"{ORIGIN}/timesheets?week=47")
    assert upstream.requests == []
    assert press_button(late, where, at="/timesheets?week=47").status == 200
    (request,) = upstream.requests
    assert request.head.startswith(b"POST /timesheets?week=47 HTTP/1.1\r\n")
    assert request.body == urlencode(FIELDS).encode()
    assert request.all("referer") == [f"{ORIGIN}/timesheets?week=47"]
    assert request.all("content-length") == [str(len(request.body))]
    for at in (where, "/timesheets?week=47"):
        again = press_button(late, where, at)
        assert (again.status, again.get("location")) == (303, where)
    assert len(upstream.requests) == 1


def test_a_button_can_not_be_pressed_from_elsewhere_or_by_another(
    own: Gateway, late: Person, upstream: RecordingUpstream
) -> None:
    where = press(late).get("location") or ""
    sign_in_again(late, where)
    other = Person(own, "manager")
    other.sign_in()
    upstream.reset()
    assert press_button(late, where, at="/timesheets?week=47", origin="https://evil.example").status == 403
    taken = press_button(other, where, at="/timesheets?week=47")
    assert (taken.status, taken.get("location")) == (303, where)
    elsewhere = press_button(late, where, at="/timesheets?week=48")
    assert (elsewhere.status, elsewhere.get("location")) == (303, where)
    assert upstream.requests == []


def test_another_button_of_its_page_does_what_it_says(own: Gateway, late: Person, upstream: RecordingUpstream) -> None:
    where = press(late).get("location") or ""
    sign_in_again(late, where)
    upstream.reset()
    assert press_button(late, where, at="/logout").get("location") == "/login?signed-out=1"
    assert not late.is_signed_in
    assert upstream.requests == []


def test_a_button_that_is_pressed_too_late_leads_back_to_its_form(
    own: Gateway, late: Person, upstream: RecordingUpstream
) -> None:
    where = press(late).get("location") or ""
    sign_in_again(late, where)
    expire(own, late)
    upstream.reset()
    for at in (where, "/timesheets?week=47"):
        pressed = press_button(late, where, at)
        assert (pressed.status, pressed.get("location")) == (303, f"/login?next={where}")
    assert "7½" in sign_in_again(late, where).body.decode()
    assert upstream.requests == []


def test_all_that_will_be_sent_is_shown(own: Gateway, late: Person, upstream: RecordingUpstream) -> None:
    fields = {f"field{n}": f"value{n}" for n in range(99)} | {"note": "long " * 1_000 + "end"}
    where = press(late, "/timesheets?week=47&as=Mara%20M", urlencode(fields).encode()).get("location") or ""
    page = html.unescape(sign_in_again(late, where).body.decode())
    for name, value in {**fields, "week": "47", "as": "Mara M"}.items():
        assert f"<dt>{name}</dt><dd>{value}</dd>" in page
    assert "<code>/timesheets?week=47&as=Mara%20M</code>" in page
    upstream.reset()
    assert late.send(where, {}).status == 200
    assert upstream.requests[0].body == urlencode(fields).encode()


def test_a_multipart_form_without_files_is_kept(own: Gateway, late: Person, upstream: RecordingUpstream) -> None:
    body = b'--X\r\nContent-Disposition: form-data; name="hours"\r\n\r\n7\xc2\xbd\r\n--X--\r\n'
    where = press(late, body=body, content_type="multipart/form-data; boundary=X").get("location") or ""
    assert "<dt>hours</dt><dd>7½</dd>" in sign_in_again(late, where).body.decode()
    upstream.reset()
    assert late.send(where, {}).status == 200
    assert upstream.requests[0].body == body


def test_a_file_that_was_not_chosen_is_shown_as_none(own: Gateway, late: Person) -> None:
    body = b'--X\r\nContent-Disposition: form-data; name="receipt"; filename=""\r\n\r\n\r\n--X--\r\n'
    where = press(late, body=body, content_type="multipart/form-data; boundary=X").get("location") or ""
    page = sign_in_again(late, where).body.decode()
    assert "<dt>receipt</dt><dd>–</dd>" in page


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"&".join(b"a=b" for _ in range(101))),
        ("application/x-www-form-urlencoded", b"a=" + b"x" * 70_000),
        ("application/x-www-form-urlencoded", b"a=%ff"),
        ("application/x-www-form-urlencoded", b"%00=b"),
        ("application/x-www-form-urlencoded", b"a=%E2%80%AEreversed"),
        ("application/x-www-form-urlencoded", b"a=1;b=2"),
        ("application/x-www-form-urlencoded", b"a=%zz"),
        ("application/x-www-form-urlencoded", b"a=\xc3\xa9"),
        ("application/x-www-form-urlencoded; charset=zlib", b"a=b"),
        ("multipart/form-data; boundary=X", b"--X\r\nContent-Disposition: form-data\r\n\r\na\r\n--X--\r\n"),
        ("multipart/form-data; boundary=X", b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 15_000),
        ("multipart/form-data; boundary=X", b"--X\r\nContent-Disposition: form-data" + b";a=b" * 200_000),
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=X", FILE),
        ("multipart/form-data; boundary=X", FILE.replace(b'filename="a.txt"', b'filename=""')),
        ("multipart/form-data; boundary=X", FILE.replace(b'; filename="a.txt"', b"\r\nContent-Type: text/plain")),
        ("multipart/form-data; boundary=X", FILE.replace(b'; filename="a.txt"', b"").replace(b"week", b"\x00\x01")),
    ],
)  # fmt: skip
def test_a_form_that_can_not_be_shown_is_not_kept(own: Gateway, late: Person, kind: str, body: bytes) -> None:
    assert is_told(late, press(late, body=body, content_type=kind))


def test_a_form_whose_query_can_not_be_shown_is_not_kept(own: Gateway, late: Person) -> None:
    answer = press(late, "/timesheets?week=%ff")
    assert "not-kept=1" in str(answer.get("location"))


@pytest.mark.parametrize(
    "ended",
    [
        f"seen_at = seen_at - {IDLE} - 3700",  # an hour ago
        f"seen_at = seen_at - {IDLE} - 33 * 86400",  # a cookie from a month ago
        "started_at = started_at - 40 * 86400",  # not by idling
        "ended_at = 1",
    ],
)
def test_a_session_that_did_not_just_end_by_idling_keeps_no_form(own: Gateway, ended: str) -> None:
    person = Person(own)
    sign_in_and_idle(person, ended)
    assert is_told(person, press(person))


def test_a_form_is_seen_and_sent_only_in_the_browser_that_sent_it(
    own: Gateway, late: Person, upstream: RecordingUpstream
) -> None:
    """A copy of every cookie that the browser had leaves no form in it."""
    elsewhere = Person(own, source="127.0.0.9")
    elsewhere.cookies = dict(late.cookies)
    planted = press(elsewhere).get("location") or ""
    assert planted.startswith("/login/form/")
    upstream.reset()
    page = sign_in_again(late, planted)
    assert page.status == 410
    assert "rollout" not in page.body.decode()
    assert late.send(planted, {}).status == 303
    assert press_button(late, planted, at="/timesheets?week=47").status == 303
    assert upstream.requests == []


def test_several_tabs_keep_a_form_each(own: Gateway, late: Person) -> None:
    first, second = (press(late, path).get("location") or "" for path in ("/one", "/two"))
    assert "/one" in sign_in_again(late, first).body.decode()
    assert "/two" in late.open(second).body.decode()


def test_nobody_else_can_see_or_send_it(own: Gateway, late: Person, upstream: RecordingUpstream) -> None:
    where = press(late).get("location") or ""
    other = Person(own, "manager")
    other.sign_in()
    upstream.reset()
    assert other.open(where).status == 410
    assert other.send(where, {}).status == 303
    assert own.exchange(get(where, "Accept: text/html")).status == 303
    assert upstream.requests == []


def test_it_is_forgotten_after_ten_minutes(own: Gateway, late: Person, upstream: RecordingUpstream) -> None:
    where = press(late).get("location") or ""
    sign_in_again(late, where)
    age(own, 601)
    upstream.reset()
    assert late.open(where).status == 410
    assert late.send(where, {}).status == 303
    assert upstream.requests == []


def test_what_is_kept_is_not_in_the_database_in_the_clear(own: Gateway, late: Person) -> None:
    press(late)
    database = Path(own.store_url.removeprefix("sqlite:///"))
    stored = b"".join(file.read_bytes() for file in database.parent.iterdir())
    assert b"hunter2" not in stored
    assert b"rollout" not in stored


@pytest.mark.parametrize(
    "lines",
    [
        ("Origin: https://evil.example", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: same-origin"),
        (f"Origin: {ORIGIN}", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: cross-site"),
        ("Accept: text/html",),
    ],
)
def test_a_form_of_another_site_is_not_kept(own: Gateway, late: Person, lines: tuple[str, ...]) -> None:
    body = urlencode(FIELDS).encode()
    head = "\r\n".join(
        ["POST /timesheets HTTP/1.1", f"Host: {HOST}", "Content-Type: application/x-www-form-urlencoded",
         f"Content-Length: {len(body)}", "Accept: text/html", late.cookie_line, *lines, "", ""]
    )  # fmt: skip
    answer = own.exchange(head.encode() + body)
    assert answer.status == 303
    assert (answer.get("location") or "").startswith("/login?next=")


def test_a_revoked_session_keeps_no_form(own: Gateway) -> None:
    person = Person(own)
    person.sign_in()
    assert own.cli("session", "revoke", "--email", person.email).returncode == 0
    assert is_told(person, press(person))


def test_a_made_up_session_keeps_no_form(own: Gateway) -> None:
    person = Person(own)
    person.cookies[COOKIE] = "a" * 43
    assert is_told(person, press(person))


def test_a_form_over_the_bound_is_not_kept(own: Gateway, late: Person) -> None:
    assert is_told(late, press(late, body=b"a=" + b"x" * 65_535))


def test_a_form_of_nobody_is_not_kept(own: Gateway) -> None:
    person = Person(own)
    assert is_told(person, press(person))


def is_told(person: Person, answer: Response) -> bool:
    """Whether the browser is led to sign in, and told there that the form is gone."""
    address = answer.get("location") or ""
    assert address == "/login?next=/timesheets%3Fweek%3D47&not-kept=1"
    return LOST in person.open(address).body


def test_nobody_is_told_of_a_lost_form_who_sent_none_or_whose_form_is_kept(own: Gateway, late: Person) -> None:
    kept = press(late).get("location") or ""
    for address in (late.open(kept, follow=False).get("location") or "", "/timesheets", "/login?signed-out=1"):
        assert LOST not in late.open(address).body


def test_the_notice_of_a_lost_form_says_nothing_that_its_address_says(own: Gateway) -> None:
    page = Person(own).open("/login?next=/x&not-kept=Call+0123").body
    assert LOST in page
    assert b"0123" not in page


def test_only_our_own_page_can_send_it(own: Gateway, late: Person, upstream: RecordingUpstream) -> None:
    where = press(late).get("location") or ""
    sign_in_again(late, where)
    upstream.reset()
    forged = own.post(where, {}, late.cookie_line, origin="https://evil.example")
    assert forged.status == 403
    assert upstream.requests == []


def test_a_form_that_needs_a_fresh_proof_continues_after_it(recorder: RecordingUpstream, tmp_path: Path) -> None:
    access = 'owners = []\nrules = [{ path = "/" }, { path = "/pay", fresh = 60 }]\n'
    own = Gateway(tmp_path, f"127.0.0.1:{recorder.port}", access=access).seed().start()
    try:
        person = Person(own)
        person.sign_in()
        own.write("UPDATE sessions SET proofs = '[[\"password\",1000]]'")
        where = press(person, "/pay").get("location") or ""
        assert where.startswith("/login/form/")
        for asked in (person.open(where, follow=False), person.send(where, {})):
            assert (asked.status, asked.get("location")) == (303, f"/login?next={where}&again=1")
        person.open(asked.get("location") or "")
        back = person.submit("/login", password="correct horse battery staple", follow=False)
        assert back.get("location") == where
        assert person.open(where).status == 200
        recorder.reset()
        assert person.send(where, {}).status == 200
        assert recorder.requests[0].body == urlencode(FIELDS).encode()
    finally:
        assert own.stop() == 0


@pytest.mark.parametrize(
    ("at", "line"),
    [
        ("/login/form/%C3%A9", "X-Nothing: else"),
        ("/timesheets", f"Referer: {ORIGIN}/login/form/\u00c3\u00a9"),  # two bytes on the wire: an e with an accent
        ("/timesheets", f"Referer: {ORIGIN}/login/form/short"),
    ],
)
def test_a_button_of_a_form_that_can_not_be_is_a_request_like_any_other(
    own: Gateway, upstream: RecordingUpstream, at: str, line: str
) -> None:
    person = Person(own)
    person.sign_in()
    upstream.reset()
    assert own.post(at, {}, person.cookie_line, line).status == 200
    assert [request.target for request in upstream.requests] == [at]


def test_a_form_that_no_secret_opens_is_answered_for(upstream: RecordingUpstream, tmp_path: Path) -> None:
    own = Gateway(tmp_path, f"127.0.0.1:{upstream.port}").seed().start()
    try:
        late = Person(own)
        sign_in_and_idle(late)
        where = press(late).get("location") or ""
        sign_in_again(late, where)
        own.stop()
        own.environ["GATEWAY_SECRET"] = base64.b64encode(hashlib.sha384(b"another").digest()).decode()
        own.start()
        upstream.reset()
        for answer in (late.open(where), press_button(late, where, at=where)):
            assert answer.status == 503
        assert upstream.requests == []
    finally:
        assert own.stop() == 0


def test_a_form_of_our_own_pages_is_asked_for_again(own: Gateway, late: Person) -> None:
    """Nothing would ever be sent to them."""
    answer = press(late, "/me/sessions/others", b"x=1")
    assert (answer.status, answer.get("location")) == (303, "/login?next=/timesheets%3Fweek%3D47&not-kept=1")
