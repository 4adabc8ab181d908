"""Forms as no browser sends them: odd charsets, odd parts, long runs of accents, and bodies that end late."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.support.gateway import HOST, ORIGIN, PASSWORD, Gateway
from tests.support.mail import Mailbox, links_in
from tests.support.person import NAVIGATION, Person
from tests.support.raw import Response, get
from tests.support.speed import slowness
from tests.support.upstream import RecordingUpstream

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
ACCENTS = ("a" + "\u0316\u0301" * 15_000).encode()  # each pair in the wrong order
SIGNUP = {"SIGNUP__MODE": "domains", "SIGNUP__DOMAINS": '{"acme.example" = "acme"}'}


@pytest.fixture(scope="module")
def own(recorder: RecordingUpstream, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("forms")
    address = f"127.0.0.1:{recorder.port}"
    running = Gateway(folder, address, mail_port=mailbox.port, changes=SIGNUP).seed().start()
    yield running
    logged = running.logged()
    assert running.stop() == 0
    assert '"event": "page_failed"' not in logged


def send(gateway: Gateway, path: str, kind: str, body: bytes, *lines: str) -> Response:
    given = (f"Origin: {ORIGIN}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *lines)
    return gateway.exchange(get(path, *given, method="POST") + body)


def parts(*each: tuple[bytes, bytes]) -> bytes:
    return b"".join(b"--b\r\n%b\r\n\r\n%b\r\n" % part for part in each) + b"--b--\r\n"


def named(name: bytes, *more: bytes) -> bytes:
    return b"\r\n".join((b'Content-Disposition: form-data; name="%b"' % name, *more))


@pytest.mark.parametrize("path", ["/login", "/forgot-password", "/signup", "/_gateway/password-hint"])
@pytest.mark.parametrize(
    ("charset", "body"),
    [
        ("utf-7", b"email=+2AA-@acme.example"),
        ("unicode_escape", b"email=\\ud800@acme.example"),
        ("raw_unicode_escape", b"email=\\ud800@acme.example"),
        ("utf-16", "email=a@acme.example".encode("utf-16")),
        ("punycode", b"email=a@acme.example-"),
        ("idna", b"email=a@acme.example"),
        ("cp037", "email=a@acme.example".encode("cp037")),
        ("zlib", b"email=a"),
        ("iso-8859-1", b"email=\xe9"),
    ],
)
def test_a_form_is_utf_8_and_nothing_else(own: Gateway, path: str, charset: str, body: bytes) -> None:
    assert send(own, path, f"{URLENCODED}; charset={charset}", body).status == 400


@pytest.mark.parametrize("path", ["/login", "/forgot-password", "/signup", "/_gateway/password-hint"])
@pytest.mark.parametrize(
    "body",
    [
        parts((b"", b"x")),
        parts((b"Content-Disposition", b"x")),
        parts((b"Content-Disposition: form-data", b"x")),
        parts((b'Content-Disposition: attachment; name="email"', b"x")),
        parts((named(b"email", b"no colon"), b"x")),
        parts((named(b"email", b"X: " + b"y" * 3_000), b"x")),
        parts((b"Content-Type: multipart/mixed; boundary=c", b"--c\r\n\r\nx\r\n--c--")),
        parts((named(b"email"), b"\xed\xa0\x80@acme.example")),
        parts((named(b"email"), b"\xff\xfe")),
        parts((named(b"email"), b"a\0b")),
        parts((named(b"\xff"), b"x")),
        parts((named(b"email"), b"x"))[:-6],
        b"preamble\r\n" + parts((named(b"email"), b"x")),
        parts((named(b"email"), b"x")) + b"epilogue",
        parts(*[(named(b"f%d" % n), b"") for n in range(1_001)]),
        b"",
    ],
)  # fmt: skip
def test_a_broken_multipart_form_is_refused(own: Gateway, path: str, body: bytes) -> None:
    """THREATS 50."""
    assert send(own, path, MULTIPART, body).status == 400


@pytest.mark.parametrize(
    "more",
    [b"Content-Transfer-Encoding: rot13", b"Content-Transfer-Encoding: base64", b"Content-Encoding: gzip",
     b"Content-Encoding: nothing", b"Content-Type: text/plain; charset=unicode_escape", b"Content-Length: -5"],
)  # fmt: skip
def test_nothing_within_a_part_is_unpacked(own: Gateway, more: bytes) -> None:
    """It is shown again as it came, and no email."""
    body = parts((named(b"email", more), b"\\ud800 <&>"), (named(b"password"), b"x"))
    answer = send(own, "/signup", MULTIPART, body)
    assert answer.status == 422
    assert b"\\ud800 &lt;&amp;&gt;" in answer.body


def test_a_part_that_would_unpack_to_gigabytes_stays_small(own: Gateway) -> None:
    """THREATS 47, for what the pages read themselves."""
    bomb = gzip.compress(bytes(20_000_000))
    file = b'Content-Disposition: form-data; name="email"; filename="x"\r\nContent-Encoding: gzip'
    assert send(own, "/login", MULTIPART, parts((file, bomb))).status in (422, 429)


@pytest.mark.parametrize("field", [b"email", b"name", b"password"])
@pytest.mark.parametrize("path", ["/login", "/forgot-password", "/signup", "/_gateway/password-hint"])
def test_a_long_run_of_accents_costs_nobody_any_time(own: Gateway, path: str, field: bytes) -> None:
    """Unicode's rules put accents into order in the square of their number: 60 kB kept a worker busy for seconds."""
    fields = {b"email": b"a@acme.example", b"name": b"A", b"password": b"seven green kettles on a raft", field: ACCENTS}
    body = parts(*[(named(name), content) for name, content in fields.items()])
    began = own.processor_seconds()
    answers = [send(own, path, MULTIPART, body).status for _ in range(3)]
    assert own.processor_seconds() - began < 4 * slowness()
    assert all(status in (200, 303, 422, 429) for status in answers)


def held(gateway: Gateway, person: Person, path: str, fields: dict[str, str], meanwhile: Callable[[], object]) -> int:
    """Send a form but for its last byte, let something happen, and send that byte."""
    body = urlencode(fields).encode()
    lines = (person.cookie_line, f"Origin: {ORIGIN}", f"Content-Type: {URLENCODED}", f"Content-Length: {len(body)}")
    with gateway.connect(source=person.source) as connection:
        connection.send(get(path, *lines, method="POST") + body[:-1])
        assert gateway.exchange(get("/probe", person.cookie_line), source=person.source).status == 200
        meanwhile()
        connection.send(body[-1:])
        answer = connection.response("POST")
        assert answer is not None
        return answer.status


@pytest.mark.parametrize("how", ["demoted", "disabled", "signed out", "new password"])
def test_a_form_that_ends_late_is_decided_by_what_is_true_then(own: Gateway, how: str) -> None:
    """THREATS 30 and 31: it came with the cookie of an admin, and was complete when there was none any more."""
    who = f"{how.replace(' ', '.')}@acme.example"
    add = ("account", "add", who, "--name", "Late", "--tenant", "acme", "--role", "admin", "--password-stdin")
    assert own.cli(*add, stdin=PASSWORD).returncode == 0
    person = Person(own, who, source="127.0.0.7")
    person.sign_in(target="/probe")
    other = Person(own, who, source="127.0.0.8")
    other.sign_in(target="/probe")
    account, name = account_of(own, "crowd1@acme.example")

    def meanwhile() -> None:
        match how:
            case "demoted":
                assert own.cli("account", "set-role", who, "employee").returncode == 0
            case "disabled":
                assert own.cli("account", "disable", who).returncode == 0
            case "signed out":
                other.open("/me/sessions")
                assert other.submit("/me/sessions/others").status == 200
            case _:
                assert own.cli("account", "set-password", who, "--password-stdin", stdin=PASSWORD).returncode == 0

    fields = {"account": account, "do": "saved", "name": f"Late {how}"}
    expected = 403 if how == "demoted" else 401  # still signed in, or not
    assert held(own, person, "/admin/accounts/member", fields, meanwhile) == expected
    assert account_of(own, "crowd1@acme.example") == (account, name)


def account_of(gateway: Gateway, email: str) -> tuple[str, str]:
    """Return id and name."""
    with sqlite3.connect(gateway.store_url.removeprefix("sqlite:///")) as connection:
        found = connection.execute("SELECT id, name FROM accounts WHERE identifier = ?", (email,)).fetchone()
        return str(found[0]), str(found[1])


@pytest.mark.parametrize(
    "cookies",
    ["a=" + "x" * 9_000, "a=" + "x" * 30_000, "; ".join(f"c{n}=v" for n in range(4_000))[:30_000], 'a=; =b; ; =; "c=d'],
)
def test_the_applications_cookies_keep_nobody_from_signing_in_or_out(own: Gateway, cookies: str) -> None:
    """What the edge takes, the pages take: a page of a sibling domain could else lock people in, or out."""
    person = Person(own, "manager", source="127.0.0.9")
    person.sign_in()
    line = f"{person.cookie_line}; {cookies}"
    assert own.exchange(get("/login?again=1", line, *NAVIGATION)).status == 200
    assert send(own, "/logout", URLENCODED, b"", line).status == 303
    assert not person.is_signed_in


def test_a_long_address_can_be_signed_in_for(own: Gateway) -> None:
    """Escaped once more it would be too long for the sign-in page's own address: then the way leads home."""
    asked = own.exchange(get("/a?" + "%22" * 2_600, *NAVIGATION))
    assert own.exchange(get(asked.get("location") or "", *NAVIGATION)).status == 200


@pytest.mark.parametrize("spelling", ["", "?utm=x", "/", "%20", ".", "/more"])
def test_a_mailed_link_is_in_no_log_and_in_no_referer(own: Gateway, mailbox: Mailbox, spelling: str) -> None:
    """THREATS 9: it is good until it is used, and logs are read by more people than mails."""
    mailbox.mails.clear()
    who = f"crowd{20 + len(spelling)}@acme.example"
    person = Person(own, who)
    person.open("/forgot-password")
    person.submit("/forgot-password", email=who)
    link = links_in(mailbox.wait_for(who))[0].removeprefix(f"https://{HOST}")
    mark = len(own.logged())
    answer = person.open(link + spelling, follow=False)
    if answer.status == 200:
        assert answer.get("referrer-policy") == "strict-origin"
    own.wait_for('"path":"/reset-password/\\u2026"', since=mark)
    assert link.rpartition("/")[2] not in own.logged()


def test_who_leaves_in_the_middle_of_a_form_is_no_failure_of_ours(own: Gateway) -> None:
    """The fixture looks for failures in the log. Anybody could fill it with them otherwise."""
    given = (f"Origin: {ORIGIN}", f"Content-Type: {URLENCODED}", "Content-Length: 70000")
    for path in ("/login", "/signup", "/forgot-password"):
        for _ in range(4):
            with own.connect() as connection:
                connection.send(get(path, *given, method="POST") + b"x" * 65_536)
            assert own.exchange(get("/login")).status == 200
