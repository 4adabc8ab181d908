"""THREATS 1 to 9: nobody tells the upstream who they are but the gateway."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.gateway import ORIGIN, PASSWORD, PEOPLE, PROXY, Gateway
from tests.support.raw import get
from tests.support.upstream import RecordingUpstream

IDENTITY = {
    "Remote-User": None,
    "Remote-Email": "erin@acme.example",
    "Remote-Name": "Erin Zo%C3%AB",
    "Remote-Groups": "employee,hr",
    "X-Otium-Tenant": "acme",
    "X-Otium-Role": "employee",
    "X-Otium-Session": None,
    "X-Otium-Factors": "password",
    "X-Otium-Assertion": None,
}
FORGED = [
    *IDENTITY, "Remote-Anything", "X-Remote-User", "X-Remote-Group", "X-Auth-Request-User", "X-Auth-Request-Email", "X-Forwarded-User",
    "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token", "Forwarded", "X-Real-IP", "X-Scheme",
    "X-Script-Name", "X-Original-URL", "X-Original-URI", "X-Original-Method", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Forwarded-Method",
    "X-Forwarded-Uri", "X-Forwarded-Path", "X-Forwarded-Prefix", "X-Forwarded-Ssl", "X-Forwarded-Protocol", "X-Forwarded-Port", "X-Forwarded-Server",
    "Proxy", "X-Accel-Redirect", "X-Accel-Buffering", "X-Pomerium-Claim-Email", "X-Pomerium-Jwt-Assertion", "X-Vouch-User", "X-Authentik-Username",
    "X-HTTP-Method", "X-Method-Override", "X-HTTP-Host-Override", "X-Host", "X-Url-Scheme", "Front-End-Https", "Client-IP", "X-Client-IP",
    "X-Cluster-Client-IP", "True-Client-IP", "Fastly-Client-IP", "CF-Connecting-IP", "X-Authenticated-User", "X-WebAuth-User",
    "X-Goog-Authenticated-User-Email", "X-Goog-IAP-JWT-Assertion", "X-Amzn-Oidc-Identity", "X-MS-Client-Principal-Name",
    "Cf-Access-Jwt-Assertion", "Tailscale-User-Login", "Ssl-Client-Verify", "X-SSL-Client-S-DN",
    "X-Otium-Anything", "Gateway-Ticket", "Script-Name", "Path-Info", "X-Request-Id",
    "SM-User", "SM-Universalid", "OAM-Remote-User", "iv-user", "iv-groups", "iv-creds", "Impersonate-User", "Impersonate-Extra-Scopes",
    "X-Ms-Client-Principal", "X-Ms-Token-Aad-Id-Token", "X-Userinfo", "X-Client-Cert", "Client-Cert", "Client-Cert-Chain", "X-Appengine-User-Email",
    "Shib-Session-Id", "X-Shib-Mail", "Mellon-Name-Id", "OIDC-Claim-Email", "X-Consumer-Username", "X-Credential-Identifier", "X-Anonymous-Consumer",
    "X-Amzn-Mtls-Clientcert", "X-Arr-Clientcert", "X-Envoy-Original-Path", "X-Envoy-External-Address", "Proxy-Remote-User", "X-Proxy-User",
    "WL-Proxy-Client-Cert", "X-Auth-Username", "X-Auth-Email", "X-Rh-Identity", "X-Sso-User", "Teleport-Jwt-Assertion", "Ngrok-Auth-User-Email",
    "X-Replit-User-Id", "CF-Connecting-IPv6", "X-Rewrite-Uri", "X-Waws-Unencoded-Url", "X-Client-Verify", "Keep-Alive", "Proxy-Connection",
    "X-Company-Id", "X-Trusted-User",
]  # fmt: skip


def spellings(name: str) -> list[str]:
    under = name.replace("-", "_")
    mixed = [name.replace("-", character) for character in "_.~"]
    return [name, name.lower(), name.upper(), name.swapcase(), under.upper(), name.replace("-", "_", 1), *mixed]


def assert_identity_once(upstream: RecordingUpstream, *, among: int = -1) -> None:
    """ID1: each identity header exactly once, with the session's own value."""
    request = upstream.requests[among]
    for name, value in IDENTITY.items():
        found = request.all(name)
        assert len(found) == 1, (name, found)
        assert value is None or found == [value]
    assert not any("_" in line.partition(":")[0] for line in request.head.decode("latin-1").split("\r\n")[1:])


@pytest.mark.parametrize("name", FORGED)
def test_a_claimed_header_never_reaches_the_upstream(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, name: str
) -> None:
    for spelling in spellings(name):
        if name in ("Script-Name", "Path-Info") and "_" not in spelling:
            continue  # with a hyphen these are ordinary names; with `_` they move the path in WSGI servers
        for cookie in ([employee], []):
            gateway.exchange(get("/public", f"{spelling}: forged-value", *cookie))
            assert "forged-value" not in upstream.requests[-1].head.decode()
            if cookie:
                assert_identity_once(upstream)


@pytest.mark.parametrize(
    "name",
    [
        "Remote.User",
        "Remote~User",
        "X-Otium.Role",
        "x*forwarded*for",
        "X.Company.Id",
        "$WSRU",
        "eppn",
        "X!Auth`Request^User",
        "Remote|Email",
        "Content.Length",
        "Transfer~Encoding",
    ],
)
def test_a_look_alike_of_a_name_that_is_believed_never_reaches_the_upstream(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, name: str
) -> None:
    assert gateway.exchange(get("/x", employee, f"{name}: forged-value")).status == 200
    assert b"forged-value" not in upstream.requests[0].head
    assert_identity_once(upstream)


@pytest.mark.parametrize(
    "name", ["X-Access-Token", "X-User-Id", "X-Id-Token", "X-Auth-Token", "Authorization", "X-CSRF-Token", "DPoP"]
)
def test_what_a_pages_own_code_may_send_passes(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, name: str
) -> None:
    gateway.exchange(get("/x", employee, f"{name}: of-the-page"))
    assert upstream.requests[0].all(name) == ["of-the-page"]


def test_who_is_signed_in_is_told_exactly_once(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    claims = [f"{spelling}: admin" for name in IDENTITY for spelling in spellings(name)]
    assert gateway.exchange(get("/x", employee, *claims)).status == 200
    assert_identity_once(upstream)


def test_a_public_page_is_told_nothing_about_nobody(gateway: Gateway, upstream: RecordingUpstream) -> None:
    gateway.exchange(get("/public", *[f"{name}: admin" for name in IDENTITY]))
    assert all(upstream.requests[0].all(name) == [] for name in IDENTITY)


def test_a_machine_path_is_told_nothing_even_of_who_is_signed_in(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    assert gateway.exchange(get("/api/desktop/sync", employee, "Authorization: Bearer app-token")).status == 200
    assert all(upstream.requests[0].all(name) == [] for name in IDENTITY)
    assert upstream.requests[0].all("authorization") == ["Bearer app-token"]


def test_groups_that_a_session_does_not_have_are_not_taken_from_the_client(
    gateway: Gateway, upstream: RecordingUpstream
) -> None:
    manager = gateway.sign_in("manager")
    gateway.exchange(get("/x", manager, "Remote-Groups: finance,hr,legal,owner"))
    assert upstream.requests[0].all("remote-groups") == ["manager"]


@pytest.mark.parametrize(
    "connection",
    [
        "close, X-Remote-User, X-Forwarded-For, Cookie",
        "Remote-User, Remote-Email, Remote-Groups, X-Otium-Assertion",
        "keep-alive, host, content-length, x-forwarded-for, x-forwarded-proto, x-request-id",
        "close, close, , ,remote-user",
    ],
)
def test_connection_nominates_nothing_that_the_gateway_sets(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, connection: str
) -> None:
    assert gateway.exchange(get("/x", employee, f"Connection: {connection}", "X-Remote-User: admin")).status == 200
    assert_identity_once(upstream)
    request = upstream.requests[0]
    assert request.all("host") == ["app.example.com"]
    assert request.all("x-forwarded-for") == ["127.0.0.1"]
    assert request.all("x-forwarded-proto") == ["https"]
    assert request.all("connection") == []


def test_what_connection_nominates_stays_here(gateway: Gateway, upstream: RecordingUpstream) -> None:
    gateway.exchange(
        get("/public", "Connection: close, X-Private", "X-Private: 1", "X-Other: 2", "Keep-Alive: 5", "TE: trailers")
    )
    assert upstream.requests[0].all("x-private") == []
    assert upstream.requests[0].all("x-other") == ["2"]
    assert upstream.requests[0].all("keep-alive") == upstream.requests[0].all("te") == []


def test_a_trailer_is_neither_forwarded_nor_merged(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    head = get("/x", employee, "Transfer-Encoding: chunked", "Trailer: Remote-User", method="POST")
    assert gateway.exchange(head + b"3\r\nabc\r\n0\r\nRemote-User: admin\r\nX-Remote-User: admin\r\n\r\n").status == 200
    assert_identity_once(upstream)
    assert upstream.requests[0].body == b"3\r\nabc\r\n0\r\n\r\n"
    assert upstream.requests[0].all("trailer") == []


BAD_COOKIES = [
    "=%%%", '="', "=" + "a" * 10_000, "=a=b=c", "=", "", "=" + "A" * 43, "=" + "é" * 20, '="' + "A" * 43 + '"', "=null", "=../../etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("value", BAD_COOKIES)
def test_a_malformed_session_cookie_is_nobodys(gateway: Gateway, upstream: RecordingUpstream, value: str) -> None:
    request = get("/x", f"Cookie: a=1; __Host-otium_session{value}; b=2").decode("latin-1").encode("utf-8")
    assert gateway.exchange(request).status == 401
    assert upstream.requests == []


def test_a_nameless_cookie_is_not_ours(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    value = employee.partition("=")[2]
    assert gateway.exchange(get("/x", f"Cookie: =__Host-otium_session={value}")).status == 401
    assert upstream.requests == []


@pytest.mark.parametrize("second", ["a" * 43, "", "%%%"])
def test_two_session_cookies_are_nobodys(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, second: str
) -> None:
    own = employee.removeprefix("Cookie: ")
    other = f"__Host-otium_session={second}"
    for lines in (
        [f"Cookie: {own}; {other}"],
        [f"Cookie: {own}", f"Cookie: {other}"],
        [f"Cookie: {other}; x=1; {own}"],
    ):
        assert gateway.exchange(get("/x", *lines)).status == 401
    assert upstream.requests == []


LOOK_ALIKES = [
    '"__Host-otium_session"=x', "=__Host-otium_session=x", "__Host-otium_session", "__Host-otium_session =x", '"__Host-otium_session=x"',
    "__Host-otium%5fsession=x", "%5F_Host-otium_session=x", '==__Host-otium_session=x', '"__Host-otium_attempt"=x', "=__Host-otium_attempt=x",
]  # fmt: skip


@pytest.mark.parametrize(
    ("forwarded_for", "address"),
    [
        ("203.0.113.7:51234", "203.0.113.7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("198.51.100.9, 203.0.113.7:51234, 127.0.0.2:1", "203.0.113.7"),
    ],
)
def test_a_port_that_a_proxy_writes_behind_the_address_is_dropped(
    gateway: Gateway, upstream: RecordingUpstream, forwarded_for: str, address: str
) -> None:
    gateway.exchange(get("/public", f"X-Forwarded-For: {forwarded_for}"), source=PROXY)
    assert upstream.requests[0].all("x-forwarded-for") == [address]


@pytest.mark.parametrize("other", LOOK_ALIKES)
def test_a_look_alike_of_our_cookie_signs_nobody_out_and_passes_neither_way(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, other: str
) -> None:
    own = employee.removeprefix("Cookie: ")
    for lines in (
        [f"Cookie: {other}; a=1; {own}"],
        [f"Cookie: {own}; a=1; {other}"],
        [f"Cookie: {other}; a=1", employee],
    ):
        assert gateway.exchange(get("/x", *lines)).status == 200
        assert upstream.requests[-1].all("cookie") == ["a=1"]
    answer = f"HTTP/1.1 200 OK\r\nSet-Cookie: {other}; Path=/\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
    upstream.answers("/x", answer.encode())
    assert gateway.exchange(get("/x", employee)).all("set-cookie") == ["b=2"]


@pytest.mark.parametrize(
    "line", ["Cookie: n=Zo\xeb", "X-Name: adm\xffin", "User-Agent: \x80\xc0\xaf", "Referer: /\xe9", "Accept: \xff"]
)
def test_bytes_of_other_encodings_pass_as_they_came(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, line: str
) -> None:
    """Obs-text, RFC 9110 §5.5. Nothing of ours is built from it."""
    assert gateway.exchange(get("/x", employee, line)).status == 200
    assert line.encode("latin-1") in upstream.requests[0].head.split(b"\r\n")
    assert_identity_once(upstream)
    answer = f"HTTP/1.1 200 Zo\xeb\r\n{line.replace('Cookie', 'Set-Cookie')}\r\nContent-Length: 0\r\n\r\n"
    upstream.answers("/x", answer.encode("latin-1"))
    assert line.replace("Cookie", "Set-Cookie").encode("latin-1") in gateway.exchange(get("/x", employee)).head


def test_a_page_of_ours_opens_whatever_bytes_come_with_the_request(gateway: Gateway) -> None:
    lines = [
        "Cookie: n=Zo\xeb; \xeb=1",
        "User-Agent: Zo\xeb",
        "Accept-Language: \xeb",
        "Accept: text/html\xff",
        "Referer: https://app.example.com/\xeb",
    ]
    for method in ("GET", "HEAD"):
        assert gateway.exchange(get("/login", *lines, method=method)).status == 200
    assert gateway.post("/login", {"email": PEOPLE["employee"][0], "password": PASSWORD}, *lines).status == 303
    body = b"email=a&password=b"
    sent = (
        f"Origin: {ORIGIN}",
        "Content-Type: multipart/form-data; boundary=\xeb",
        f"Content-Length: {len(body)}",
        *lines,
    )
    assert gateway.exchange(get("/login", *sent, method="POST") + body).status in (400, 422)
    sent = (*lines, "Sec-Fetch-Mode: navigate", "Content-Type: \xff/\xff", f"Content-Length: {len(body)}")
    assert gateway.exchange(get("/x", *sent, method="POST") + body).status == 303


def test_our_cookie_stays_here_and_the_others_pass_in_one_line(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    gateway.exchange(get("/x", "Cookie: a=1; b=2", employee, "Cookie: c=3"))
    assert upstream.requests[0].all("cookie") == ["a=1; b=2; c=3"]
    gateway.exchange(get("/x", employee))
    assert upstream.requests[1].all("cookie") == []


def test_the_application_may_ask_nginx_not_to_buffer(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nX-Accel-Buffering: no\r\nX-Accel-Limit-Rate: 1\r\nContent-Length: 0\r\n\r\n"
    upstream.answers("/x", answer)
    fields = [field for field in gateway.exchange(get("/x", employee)).fields if field[0].startswith("X-Accel")]
    assert fields == [("X-Accel-Buffering", "no")]


@pytest.mark.parametrize("name", ["attempt", "browser", "form", "sent", "session", "sso", "zone"])
def test_an_upstream_can_not_set_our_cookies(
    gateway: Gateway, upstream: RecordingUpstream, employee: str, name: str
) -> None:
    ours = f"__Host-otium_{name}=x; Path=/; Secure"
    head = f"HTTP/1.1 200 OK\r\nSet-Cookie: {ours}\r\nSet-Cookie: own=1\r\n"
    upstream.answers("/x", f"{head}Content-Length: 0\r\n\r\n".encode())
    assert gateway.exchange(get("/x", employee)).all("set-cookie") == ["own=1"]


def test_an_upstream_does_not_command_nginx(gateway: Gateway, upstream: RecordingUpstream, employee: str) -> None:
    upstream.answers(
        "/x",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: own=1\r\n"
        b"X-Accel-Redirect: /secret\r\nx-accel-expires: 60\r\nContent-Length: 0\r\n\r\n",
    )
    response = gateway.exchange(get("/x", employee))
    assert response.all("set-cookie") == ["own=1"]
    assert not [name for name, _ in response.fields if name.lower().startswith("x-accel")]


def test_the_assertion_can_be_checked_with_the_published_keys(
    gateway: Gateway, upstream: RecordingUpstream, employee: str
) -> None:
    from joserfc import jwt
    from joserfc.jwk import KeySet

    gateway.exchange(get("/x", employee))
    keys = json.loads(gateway.exchange(get("/.well-known/otium-gateway/jwks.json")).body)
    assert "d" not in keys["keys"][0]
    token = jwt.decode(
        upstream.requests[0].all("x-otium-assertion")[0], KeySet.import_key_set(keys), algorithms=["ES256"]
    )
    assert token.claims["aud"] == "otiumwork"
    assert token.claims["iss"] == "https://app.example.com"
    assert token.claims["email"] == PEOPLE["employee"][0]
    assert token.claims["exp"] - token.claims["iat"] == 60


NAMES = st.sampled_from(
    [*FORGED, "Accept", "Cookie", "X-Custom", "Authorization", "Connection", "X-Request-Id", "Referer"]
)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(NAMES, st.sampled_from(["as is", "_", "upper"]), VALUES), max_size=12))
def test_whatever_is_forwarded_is_one_request_with_one_identity(
    gateway: Gateway, recorder: RecordingUpstream, employee: str, lines: list[tuple[str, str, str]]
) -> None:
    """Differential: an independent strict parser must see what the gateway meant."""
    import h11

    recorder.reset()
    spelled = [
        f"{name.replace('-', '_') if how == '_' else name.upper() if how == 'upper' else name}: {value}"
        for name, how, value in lines
    ]
    response = gateway.exchange(get("/x", employee, *spelled))
    if not recorder.requests:
        assert response.status in (400, 401, 431)
        return
    assert_identity_once(recorder)
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(
        recorder.requests[0].head.encode()
        if isinstance(recorder.requests[0].head, str)
        else recorder.requests[0].head + b"\r\n"
    )
    event = parser.next_event()
    assert isinstance(event, h11.Request)
    assert isinstance(parser.next_event(), h11.EndOfMessage)
    assert len(recorder.requests) == 1
