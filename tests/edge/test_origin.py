"""Whose address, which host."""

from __future__ import annotations

import pytest

from gateway.edge.origin import TrustedProxies
from gateway.wire.authority import read_authority


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("10.0.0.1", b"203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", b"127.0.0.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", b"203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", b"1.2.3.4, 203.0.113.9, 10.0.0.2,10.0.0.3", "203.0.113.9"),
        ("10.0.0.1", b"10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", b"", "10.0.0.1"),
        ("10.0.0.1", b"garbage", "10.0.0.1"),
        ("10.0.0.1", b"1.2.3.4, garbage", "10.0.0.1"),
        ("10.0.0.1", b"1.2.3.4, , 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", b"2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", b"2001:DB8:0::1", "2001:db8::1"),
        ("10.0.0.1", b"::ffff:203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", b"203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", b"198.51.100.1:1, 203.0.113.9:65535, 10.0.0.2:80", "203.0.113.9"),
        ("10.0.0.1", b"[2001:db8::7]:443", "2001:db8::7"),
        ("10.0.0.1", b"[2001:db8::7]", "2001:db8::7"),
        ("10.0.0.1", b"[::ffff:203.0.113.9]:443, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", b"[fe80::1%eth0]:443", "fe80::1"),
        ("10.0.0.1", b"2001:db8::7:443", "2001:db8::7:443"),  # without brackets the port is a part of the address
        ("10.0.0.1", b"203.0.113.9:", "10.0.0.1"),
        ("10.0.0.1", b"203.0.113.9:port", "10.0.0.1"),
        ("10.0.0.1", b"203.0.113.9:123456", "10.0.0.1"),
        ("10.0.0.1", b"[2001:db8::7", "10.0.0.1"),
        ("10.0.0.1", b"unknown", "10.0.0.1"),
        ("10.0.0.1", b"\xff", "10.0.0.1"),
    ],
)
def test_the_address_is_the_last_hop_that_is_no_trusted_proxy(peer: str, forwarded_for: bytes, client: str) -> None:
    assert TrustedProxies(["10.0.0.0/8"]).client(peer, forwarded_for) == client


@pytest.mark.parametrize(
    ("forwarded_for", "unreadable"),
    [
        (b"203.0.113.9:4711", None),
        (b"garbage, 203.0.113.9", None),  # a claim of the client's, which nobody reads
        (b"", None),
        (b"garbage", "garbage"),
        (b"203.0.113.9, _hidden, 10.0.0.2", "_hidden"),
        (b"203.0.113.9, , 10.0.0.2", ""),
        (b"203.0.113.9, \xff", "\ufffd"),
    ],
)
def test_what_a_proxy_wrote_and_is_no_address_is_named(forwarded_for: bytes, unreadable: str | None) -> None:
    assert TrustedProxies(["10.0.0.0/8"]).find("10.0.0.1", forwarded_for).unreadable == unreadable


@pytest.mark.parametrize(
    ("networks", "peer", "is_trusted"),
    [
        ([], "127.0.0.1", False),
        ([], "", False),
        (["unix"], "", True),
        (["unix"], "127.0.0.1", False),
        (["127.0.0.1"], "127.0.0.1", True),
        (["127.0.0.1"], "127.0.0.2", False),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["2001:db8::/32"], "2001:db8::7", True),
        (["2001:db8::/32"], "garbage", False),
    ],
)
def test_nobody_is_trusted_who_is_not_configured(networks: list[str], peer: str, is_trusted: bool) -> None:
    assert TrustedProxies(networks).trusts(peer) is is_trusted


@pytest.mark.parametrize(
    "value",
    [
        b"app.example.com",
        b"APP.EXAMPLE.COM",
        b"app.example.com.",
        b"app.example.com:443",
        b"App.example.com.:443",
    ],
)
def test_spellings_of_a_host_are_one_host(value: bytes) -> None:
    assert read_authority(value) == "app.example.com"


@pytest.mark.parametrize(
    "value",
    [b"", b"gw, evil", b"gw@evil", b"gw:-1", b"gw:", b"gw:0", b"gw:65536", b"gw:99999999", b"gw:8_0", b"gw/x", b"gw?x", b"gw#x",
     b"gw evil", b"gw\\evil", b"-gw", b".gw", b"gw..", b"[::1", b"::1", b"[gw]", b"gw%2eevil", "é".encode(), b"gw:80:80"],
)  # fmt: skip
def test_a_malformed_host_is_no_host(value: bytes) -> None:
    assert read_authority(value) is None
