"""THREATS 41 to 45, 48: what is no request is answered once with 400, the connection ends, and nobody behind hears of it."""

from __future__ import annotations

import pytest

from tests.support.gateway import PROXY, Gateway
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream

HOST = b"Host: app.example.com\r\n"
POST = b"POST /public HTTP/1.1\r\n" + HOST
GET = b"GET /public HTTP/1.1\r\n" + HOST
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n"

LENGTHS = [
    b"+3", b"-3", b"1_0", b"0x3", b"3 3", b"3,3", b"3, 3", b"3;3", "٣".encode(), b"", b"99999999999999999999", b"18446744073709551616",
    b"3\x0b", b"3.0", b"3e0", b"\xb2", b"0b11", b"three", b"3\x00", b"9223372036854775808",
]  # fmt: skip
CODINGS = [
    b"identity", b"gzip, chunked", b",chunked", b"chunked,", b"chunked, chunked", b"", b"xchunked", b"chunked;q=1", b"\x0bchunked", b"chunked\x00",
    b"chunked identity", b"'chunked'", b'"chunked"', b"Chunked, identity", b"chun ked", b"gzip", b"compress",
]  # fmt: skip
CHUNKS = [
    b"+3\r\nabc\r\n0\r\n\r\n", b"-3\r\nabc\r\n0\r\n\r\n", b"0x3\r\nabc\r\n0\r\n\r\n", b"3_\r\nabc\r\n0\r\n\r\n", b"1_0\r\nabc\r\n0\r\n\r\n", b" 3\r\nabc\r\n0\r\n\r\n",
    b"3 \r\nabc\r\n0\r\n\r\n", b"3\t\r\nabc\r\n0\r\n\r\n", b"ffffffffffffffff3\r\nabc\r\n0\r\n\r\n", b"10000000000000003\r\nabc\r\n0\r\n\r\n", b"3\nabc\r\n0\r\n\r\n",
    b"3\r\nabc0\r\n\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"3;a\nb\r\nabc\r\n0\r\n\r\n", b"3;a\rb\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\n0\r\n\r\n", b"\r\nabc\r\n0\r\n\r\n",
    b"g\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\nbad trailer\r\n\r\n", b"3\r\nabc\r\n0\r\n: x\r\n\r\n", b"3;" + b"a" * 10_000 + b"\r\nabc\r\n0\r\n\r\n",
]  # fmt: skip
HEADS = {
    "a bare LF ends the head": b"GET /public HTTP/1.1\nHost: app.example.com\n\n",
    "a bare LF ends a line": b"GET /public HTTP/1.1\r\nHost: app.example.com\nX: y\r\n\r\n",
    "a bare CR within a value": GET + b"X: a\rb\r\n\r\n",
    "a bare CR ends a line": GET + b"X: a\rY: b\r\n\r\n",
    "a folded line": GET + b"X: a\r\n b\r\n\r\n",
    "a folded first line": b"GET /public HTTP/1.1\r\n X: a\r\n" + HOST + b"\r\n",
    "a space before the colon": GET + b"X : a\r\n\r\n",
    "a tab before the colon": GET + b"X\t: a\r\n\r\n",
    "a space before Host's colon": b"GET /public HTTP/1.1\r\nHost : app.example.com\r\n\r\n",
    "an empty name": GET + b": a\r\n\r\n",
    "no colon": GET + b"abc\r\n\r\n",
    "NUL in a value": GET + b"X: a\x00b\r\n\r\n",
    "ESC in a value": GET + b"X: \x1b[2J\r\n\r\n",
    "DEL in a value": GET + b"X: \x7f\r\n\r\n",
    "8-bit in a name": GET + b"X\xff: a\r\n\r\n",
    "UTF-8 in a name": GET + "Xé: a\r\n\r\n".encode(),
    "8-bit in the host": b"GET /public HTTP/1.1\r\nHost: app.example.com\xff\r\n\r\n",
    "8-bit in a coding": POST + b"Transfer-Encoding: chunked\xff\r\n\r\n0\r\n\r\n",
    "a separator in a name": GET + b"X(: a\r\n\r\n",
    "quotes in a name": GET + b'"X": a\r\n\r\n',
    "two hosts": GET + HOST + b"\r\n",
    "two different hosts": GET + b"Host: evil\r\n\r\n",
    "no host": b"GET /public HTTP/1.1\r\n\r\n",
    "an empty host": b"GET /public HTTP/1.1\r\nHost:\r\n\r\n",
    "a list of hosts": b"GET /public HTTP/1.1\r\nHost: app.example.com, evil\r\n\r\n",
    "a host with a user": b"GET /public HTTP/1.1\r\nHost: app.example.com@evil\r\n\r\n",
    "a host with a bad port": b"GET /public HTTP/1.1\r\nHost: app.example.com:-1\r\n\r\n",
    "a host with a path": b"GET /public HTTP/1.1\r\nHost: app.example.com/x\r\n\r\n",
    "an absolute target without Host": b"GET http://app.example.com/public HTTP/1.1\r\n\r\n",
    "an absolute target with a user": b"GET http://app.example.com@evil/public HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute target with a user before": b"GET http://evil@app.example.com/public HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute target with a bad port": b"GET http://app.example.com:99999/public HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute target with no host": b"GET http:///public HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute target with two slashes": b"GET http://app.example.com//evil/public HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute target that climbs": b"GET http://app.example.com/public/../admin HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute target of another scheme": b"GET ftp://app.example.com/public HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute target elsewhere": b"GET http://evil/public HTTP/1.1\r\n" + HOST + b"\r\n",
    "an authority as the target": b"GET @evil/a HTTP/1.1\r\n" + HOST + b"\r\n",
    "a port as the target": b"GET :80/a HTTP/1.1\r\n" + HOST + b"\r\n",
    "an asterisk": b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
    "an asterisk and more": b"OPTIONS *x HTTP/1.1\r\n" + HOST + b"\r\n",
    "an asterisk with a query": b"OPTIONS *?x HTTP/1.1\r\n" + HOST + b"\r\n",
    "no target": b"GET  HTTP/1.1\r\n" + HOST + b"\r\n",
    "two spaces": b"GET  /public HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tab between": b"GET\t/public\tHTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the target": b"GET /public x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space behind the version": b"GET /public HTTP/1.1 \r\n" + HOST + b"\r\n",
    "a raw hash": b"GET /public#/admin HTTP/1.1\r\n" + HOST + b"\r\n",
    "8-bit in the target": b"GET /public\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method in lower case": b"get /public HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method with other characters": b"G-T /public HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /public\r\n" + HOST + b"\r\n",
    "a version with a name": b"GET /public XTTP/1.1\r\n" + HOST + b"\r\n",
    "a version with more digits": b"GET /public HTTP/1.10\r\n" + HOST + b"\r\n",
    "a version in lower case": b"GET /public http/1.1\r\n" + HOST + b"\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "two empty lines before": b"\r\n\r\n" + GET + b"\r\n",
    "both framings": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both framings, the other way round": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "two different lengths": POST + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabc",
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding in HTTP/1.0": b"POST /public HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an upgrade with a body": GET + b"Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 10\r\n\r\n" + SMUGGLED,
    "an upgrade with chunks": GET + b"Upgrade: websocket\r\nConnection: Upgrade\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    **{f"a length of {value!r}": POST + b"Content-Length: " + value + b"\r\n\r\nabc" for value in LENGTHS},
    **{f"a coding of {value!r}": POST + b"Transfer-Encoding: " + value + b"\r\n\r\n0\r\n\r\n" for value in CODINGS},
    **{f"chunks {value[:24]!r}": POST + b"Transfer-Encoding: chunked\r\n\r\n" + value for value in CHUNKS},
}  # fmt: skip


@pytest.mark.parametrize("signed_in", [False, True], ids=["anonymous", "signed in"])
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
def test_a_malformed_request_is_answered_once_and_goes_no_further(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, head: bytes, signed_in: bool
) -> None:
    if signed_in:
        first, _, rest = head.partition(b"\r\n")
        head = first + b"\r\n" + employee.encode() + b"\r\n" + rest if rest else head
    with gateway.connect() as connection:
        connection.send(head)
        response = connection.response()
        assert response is not None
        assert response.status == 400
        assert response.get("connection") == "close"
        assert connection.is_closed()
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"CONNECT evil:443 HTTP/1.1\r\n" + HOST + b"Content-Length: 54\r\n\r\n" + SMUGGLED, 405),
        (b"TRACE /public HTTP/1.1\r\n" + HOST + b"\r\n", 405),
        (b"BREW /public HTTP/1.1\r\n" + HOST + b"\r\n", 405),
        (b"GET /public HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"GET /public HTTP/0.9\r\n" + HOST + b"\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /public HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET http://evil.example/public HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET http://app.example.com/public HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET http://evil.example/public HTTP/1.0\r\n\r\n", 421),
        (b"GET /public HTTP/1.1\r\nHost: app.example.com.evil.example\r\n\r\n", 421),
        (b"GET /public HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 421),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (GET + b"".join(b"X-%d: y\r\n" % n for n in range(5_000)) + b"\r\n", 431),
        (GET + b"X: " + b"y" * 40_000 + b"\r\n\r\n", 431),
        (GET + b"X: " + b"y" * 400_000, 431),
        (GET + b"Expect: 200-ok\r\n\r\n", 417),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_a_request_that_is_not_served_gets_its_status_and_the_connection_ends(
    gateway: Gateway, upstream: RecordingUpstream, head: bytes, status: int
) -> None:
    with gateway.connect() as connection:
        connection.send(head)
        response = connection.response()
        assert response is not None
        assert response.status == status
        assert connection.is_closed()
    assert upstream.requests == []


ABSOLUTE = [
    ("GET http://app.example.com/public HTTP/1.1", "/public"),
    ("GET https://app.example.com/public?x=http://evil/ HTTP/1.1", "/public?x=http://evil/"),
    ("GET HTTPS://APP.example.com.:443/public/a%2Fb HTTP/1.1", "/public/a%2Fb"),
    ("HEAD http://app.example.com:80/public HTTP/1.0", "/public"),
]


@pytest.mark.parametrize(("line", "target"), ABSOLUTE)
def test_a_target_in_absolute_form_is_a_path_of_this_site(
    gateway: Gateway, upstream: RecordingUpstream, line: str, target: str
) -> None:
    """RFC 9112 §3.2.2. The application is asked in origin form, as by everybody else."""
    assert gateway.exchange(line.encode() + b"\r\n" + HOST + b"\r\n").status == 200
    assert (upstream.requests[0].target, upstream.requests[0].all("host")) == (target, ["app.example.com"])


def test_a_protected_path_in_absolute_form_is_protected(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    for target, status in (("/admin", 403), ("", 200), ("?x=1", 200), ("/admin?x=/public", 403)):
        request = get(f"http://app.example.com{target}", employee)
        assert gateway.exchange(request).status == status
    assert [request.target for request in upstream.requests] == ["/", "/?x=1"]
    asked = ("X-Original-Method: GET", "X-Original-URI: https://app.example.com/admin", employee)
    assert gateway.exchange(get("/_gateway/auth", *asked), source=PROXY).status == 403


def test_a_target_and_a_host_that_differ_are_refused_though_both_are_ours(
    gateway: Gateway, upstream: RecordingUpstream
) -> None:
    assert gateway.exchange(get("http://www.example.com/public")).status == 400
    assert gateway.exchange(get("http://app.example.com/public", host="www.example.com")).status == 400
    assert upstream.requests == []


def test_http_1_0_asks_without_host(gateway: Gateway, upstream: RecordingUpstream) -> None:
    for request in (b"GET /public HTTP/1.0\r\n\r\n", b"GET http://www.example.com/public HTTP/1.0\r\n\r\n"):
        assert gateway.exchange(request).status == 200
    assert [request.all("host") for request in upstream.requests] == [["app.example.com"], ["www.example.com"]]


@pytest.mark.parametrize("target", ["*", "http://app.example.com"])
def test_options_of_the_server_itself_are_answered_here(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, target: str
) -> None:
    response = gateway.exchange(get(target, employee, method="OPTIONS"))
    assert (response.status, response.body) == (204, b"")
    assert "GET" in (response.get("allow") or "")
    assert upstream.requests == []


def test_a_coding_is_named_in_any_case(gateway: Gateway, upstream: RecordingUpstream) -> None:
    for name in (b"Chunked", b"CHUNKED", b"chunKed"):
        head = POST + b"Transfer-Encoding: " + name + b"\r\n\r\n"
        assert gateway.exchange(head + b"3\r\nabc\r\n0\r\n\r\n").status == 200
        assert upstream.requests[-1].all("transfer-encoding") == ["chunked"]
        assert upstream.requests[-1].body == b"3\r\nabc\r\n0\r\n\r\n"


REFUSED_EARLY = [
    *(
        head.replace(b"GET", b"HEAD", 1)
        for name, head in HEADS.items()
        if head.startswith((b"GET ", b"GET\t")) and "upgrade" not in name
    ),
    *(head.replace(b"POST", b"HEAD", 1) for head in HEADS.values() if head.startswith(b"POST ")),
    b"HEAD / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"HEAD /public HTTP/2.0\r\n" + HOST + b"\r\n",
    b"HEAD /" + b"a" * 9_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    b"HEAD /public HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(5_000)) + b"\r\n",
    b"HEAD /public HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 400_000,
    b"HEAD /public HTTP/1.1\r\n" + HOST + b"Expect: 200-ok\r\n\r\n",
    b"\r\nHEAD /public HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"HEAD /public HTTP/1.1\nHost: app.example.com\n\n",
]


def test_head_has_no_content_however_early_it_fails(gateway: Gateway, upstream: RecordingUpstream) -> None:
    assert len(REFUSED_EARLY) > 90
    for request in REFUSED_EARLY:
        with gateway.connect() as connection:
            connection.send(request)
            head, _, content = connection.read_to_end().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 4") or b"HTTP/1.1 505" in head, request[:80]
        assert content == b"", request[:80]
    assert upstream.requests == []


def test_head_has_no_content_whatever_is_refused(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    upstream.scripts["/x/gone"] = lambda talk, _: talk.close()
    upstream.answers("/x/garbage", b"SSH-2.0-OpenSSH_9.2\r\n", closes=True)
    asked = ["/x", "/admin", "/nope//", "/login", "/login?next=//x", "/_gateway/static/none", "/_gateway/auth", "/invite/none",
             "/me/security", "/ops", "/x/gone", "/x/garbage"]  # fmt: skip
    for path in asked:
        for lines in (
            (),
            ("Accept: text/html",),
            (employee,),
            (employee, "Accept: text/html", "Sec-Fetch-Mode: navigate"),
        ):
            with gateway.connect() as connection:
                connection.send(get(path, *lines, "Connection: close", method="HEAD"))
                head, _, content = connection.read_to_end().partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 "), path
            assert content == b"", (path, lines)


@pytest.mark.parametrize("host", ["APP.EXAMPLE.COM", "app.example.com.", "app.example.com:443", "App.Example.Com.:443"])
def test_spellings_of_our_host_are_our_host(gateway: Gateway, upstream: RecordingUpstream, host: str) -> None:
    assert gateway.exchange(get("/public", host=host)).status == 200
    assert upstream.requests[0].all("host") == ["app.example.com"]


def test_requests_sent_at_once_are_answered_in_order(gateway: Gateway, upstream: RecordingUpstream) -> None:
    with gateway.connect() as connection:
        connection.send(b"".join(get(f"/public/{n}") for n in range(1_000)))
        for _ in range(1_000):
            response = connection.response()
            assert response is not None
            assert response.status == 200
    assert [request.target for request in upstream.requests] == [f"/public/{n}" for n in range(1_000)]


def test_a_second_request_behind_a_body_is_the_second_request(gateway: Gateway, upstream: RecordingUpstream) -> None:
    with gateway.connect() as connection:
        connection.send(POST + b"Content-Length: 3\r\n\r\nabc" + get("/exact"))
        assert connection.response() is not None
        assert connection.response() is not None
    assert [(r.target, r.body) for r in upstream.requests] == [("/public", b"abc"), ("/exact", b"")]


def test_an_upgrade_to_h2c_is_an_ordinary_request(gateway: Gateway, upstream: RecordingUpstream) -> None:
    request = get("/public", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__")
    assert gateway.exchange(request).status == 200
    assert upstream.requests[0].all("upgrade") == []
    assert upstream.requests[0].all("http2-settings") == []
    assert upstream.requests[0].all("connection") == []


def test_one_empty_line_before_a_request_is_forgiven(gateway: Gateway, upstream: RecordingUpstream) -> None:
    assert gateway.exchange(b"\r\n" + get("/public")).status == 200


@pytest.mark.parametrize(
    ("request_bytes", "status", "reason"),
    [
        (GET + b"Bad Name: x\r\n\r\n", 400, "bad_request"),
        (b"GET /public HTTP/1.1\r\nHost: other.example\r\n\r\n", 421, "wrong_host"),
    ],
)
def test_the_log_says_why_under_the_reference_that_was_given(
    gateway: Gateway, request_bytes: bytes, status: int, reason: str
) -> None:
    response = gateway.exchange(request_bytes)
    assert response.status == status
    reference = response.get("x-request-id")
    gateway.wait_for(f'"request_id":"{reference}","peer":"127.0.0.1","error":"{reason}","status":{status}')
