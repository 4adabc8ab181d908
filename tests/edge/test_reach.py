"""What a request reaches besides its target, and in which spelling the upstream is told so."""

from __future__ import annotations

import pytest

from gateway.edge.origin import TrustedProxies
from gateway.edge.reach import SITE
from gateway.edge.request import Reader
from gateway.model.inbound import Inbound, Resource
from gateway.wire.failures import Failure
from gateway.wire.http1 import METHODS

HERE = Resource(b"/a", ("/a",), True)
READER = Reader(
    scheme="https",
    authorities=["app.example.com", "www.example.com:8443"],
    proxies=TrustedProxies([]),
    session_cookie="__Host-own",
    attempt_cookie="__Host-attempt",
    identity_names=["Remote-User"],
    max_fields=20,
    max_target_bytes=1_000,
)
REFUSED = (
    "",
    "x",
    "x/y",
    "*",
    "ftp://app.example.com/b",
    "app.example.com/b",
    "https:/b",
    "https:///b",
    "//app.example.com/b",
    "//evil.example/b",
    "https://evil.example/b",
    "https://app.example.com.evil.example/b",
    "https://app.example.com@evil.example/b",
    "https://me@app.example.com/b",
    "https://app.example.com%2f@evil.example/b",
    "https://app.example.com:0/b",
    "https://app.example.com:x/b",
    "https://[::1]/b",
    "https://app.example.com\\b",
    "/b#c",
    "/b/../admin",
    "/b/%2e%2e/admin",
    "/b/..%2fadmin",
    "/b%00",
    "/b%0a",
    "/b%5cadmin",
    "/b\\admin",
    "/b c",
    "/b%zz",
    "/b%",
    "/Zo\xc3\xab",
    "</b>",
    "/b, /c",
    "/b /c",
)
SPELLED = {
    "/b": ("https://app.example.com/b", ("/b",)),
    "https://app.example.com/b": ("https://app.example.com/b", ("/b",)),
    "HTTPS://APP.Example.COM./b": ("https://app.example.com/b", ("/b",)),
    "http://app.example.com:8080/b": ("https://app.example.com/b", ("/b",)),
    "https://www.example.com/b": ("https://www.example.com:8443/b", ("/b",)),
    "https://app.example.com": ("https://app.example.com/", ("/",)),
    "/b?x=/../y": ("https://app.example.com/b?x=/../y", ("/b",)),
    "/b;x/c": ("https://app.example.com/b;x/c", ("/b/c", "/b;x/c")),
    "/admin%3fx": ("https://app.example.com/admin%3fx", ("/admin?x", "/admin")),
    "/admin%23/x": ("https://app.example.com/admin%23/x", ("/admin#/x", "/admin")),
    "/Zo%C3%AB": ("https://app.example.com/Zo%C3%AB", ("/Zoë",)),
}


def read(method: str, *lines: str, target: str = "/a") -> Inbound | Failure:
    head = "\r\n".join((f"{method} {target} HTTP/1.1", "Host: app.example.com", *lines))
    return READER.read(head.encode("latin-1"), "192.0.2.1")


def reach(method: str, *lines: str) -> tuple[Resource, ...]:
    inbound = read(method, *lines)
    assert isinstance(inbound, Inbound), (method, lines, inbound)
    return inbound.reach


@pytest.mark.parametrize("method", ["COPY", "MOVE", "PUT", "GET", "LOCK", "PROPFIND"])
@pytest.mark.parametrize("destination", REFUSED)
def test_a_destination_that_is_not_certainly_ours_is_refused(method: str, destination: str) -> None:
    assert read(method, f"Destination: {destination}") is Failure.BAD_REQUEST


@pytest.mark.parametrize("destination", SPELLED)
def test_a_destination_goes_on_in_one_spelling_and_in_all_its_readings(destination: str) -> None:
    inbound = read("COPY", "Depth: 0", f"Destination: {destination}")
    assert isinstance(inbound, Inbound)
    uri, readings = SPELLED[destination]
    assert inbound.values(b"destination") == [uri.encode()]
    (resource,) = inbound.reach
    assert resource.readings == readings
    assert resource.is_deep, "what is there is replaced, with all that is below"


def test_what_a_request_says_twice_is_refused() -> None:
    for field in ("Destination: /b", "Depth: 0", "If: (<urn:1>)"):
        assert read("COPY", "Destination: /b", field, field) is Failure.BAD_REQUEST


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_a_copy_that_does_not_say_where_to_reaches_the_whole_site(method: str) -> None:
    assert SITE in reach(method)
    assert SITE in reach(method, "Destination: /b", "Connection: destination")
    assert SITE not in reach(method, "Destination: /b")


@pytest.mark.parametrize(
    "depth", ["", "2", "00", "+0", "-1", "0,infinity", "infinity, 0", "1,noroot", "infinit", "all"]
)
def test_a_depth_that_servers_could_read_differently_is_refused(depth: str) -> None:
    for method in ("PROPFIND", "COPY", "DELETE", "LOCK", "REPORT"):
        assert read(method, "Destination: /b", f"Depth: {depth}") is Failure.BAD_REQUEST


def test_what_covers_everything_below() -> None:
    deep = {method for method in METHODS if HERE in reach(method, "Destination: /b")}
    assert deep == {"PROPFIND", "COPY", "MOVE", "DELETE", "LOCK", "REPORT", "UNBIND"}
    shallow = {method for method in deep if HERE not in reach(method, "Destination: /b", "Depth: 0")}
    assert shallow == {"PROPFIND", "COPY", "LOCK"}
    for method in METHODS:
        assert HERE in reach(method, "Destination: /b", "Depth: Infinity"), method


def test_a_depth_that_does_not_go_on_counts_for_nothing() -> None:
    for method in ("PROPFIND", "LOCK"):
        inbound = read(method, "Depth: 0", "Connection: close, Depth")
        assert isinstance(inbound, Inbound)
        assert inbound.values(b"depth") == []
        assert inbound.reach == (HERE,)


@pytest.mark.parametrize("method", ["BIND", "REBIND", "SEARCH", "MERGE", "CHECKOUT", "LINK", "UNLINK"])
def test_a_method_whose_body_names_resources_reaches_the_whole_site(method: str) -> None:
    assert SITE in reach(method, "Content-Length: 1")
    assert SITE in reach(method, "Transfer-Encoding: chunked")
    assert SITE not in reach(method)


def test_a_link_reaches_the_whole_site_where_it_is_what_the_method_acts_on() -> None:
    for method in ("LINK", "UNLINK"):
        assert SITE in reach(method, "link: </b>; rel=x")
    assert reach("GET", "Link: </b>; rel=x") == ()


def test_the_tags_of_if_are_resources_and_spelled_our_way() -> None:
    inbound = read(
        "PUT", 'If: </b> (<urn:1> ["e"])(Not <urn:2>) <http://APP.example.com:80/c/> ([W/"x,y"] not<DAV:no-lock>)'
    )
    assert isinstance(inbound, Inbound)
    assert inbound.reach == (Resource(b"/b", ("/b",), False), Resource(b"/c/", ("/c/",), False))
    (value,) = inbound.values(b"if")
    assert value == (
        b'<https://app.example.com/b> (<urn:1> ["e"])(Not <urn:2>) '
        b'<https://app.example.com/c/> ([W/"x,y"] not<DAV:no-lock>)'
    )
    assert reach("PUT", 'If: (<urn:uuid:1>) (["etag"])') == ()


@pytest.mark.parametrize(
    "value",
    [
        "", "*", "</b>", "(", "()", "(urn:1)", "(<urn:1>", "<urn:1>)", "</b> <urn:1>", "(<urn:1>) </b>",
        "</b> x (<urn:1>)", '(["a)(<b>"])', '(["a)</admin>([b"])', "((<urn:1>))", "(<urn:1>), (<urn:2>)",
        "<https://evil.example/b> (<urn:1>)", "</b/../admin> (<urn:1>)", "<b> (<urn:1>)",
    ],
)  # fmt: skip
def test_a_condition_that_servers_could_read_differently_is_refused(value: str) -> None:
    assert read("PUT", f"If: {value}") is Failure.BAD_REQUEST


def test_a_long_condition_takes_no_time_to_refuse() -> None:
    assert read("PUT", "If: " + "(<urn:1>     )     " * 400 + "(") is Failure.BAD_REQUEST


def test_most_requests_reach_nothing_else() -> None:
    for method in METHODS - {"COPY", "MOVE", "DELETE", "PROPFIND", "LOCK", "REPORT", "UNBIND"}:
        assert reach(method, "Depth: 1") == ()


def test_what_names_more_or_at_greater_length_than_any_client_does_is_refused() -> None:
    """Else one head of 30 kB holds the event loop for most of a second."""
    tags = [f"</a%252f;b{number}> (<urn:1>)" for number in range(21)]
    assert len(reach("PUT", f"If: {' '.join(tags[:20])}")) == 20
    assert read("PUT", f"If: {' '.join(tags)}") is Failure.BAD_REQUEST
    long = "/a;b" * 2_048
    assert len(reach("PUT", f"Destination: {long}")) == 1
    assert read("PUT", f"Destination: {long}c") is Failure.BAD_REQUEST
    assert read("PUT", f"If: <{long}c> (<urn:1>)") is Failure.BAD_REQUEST
