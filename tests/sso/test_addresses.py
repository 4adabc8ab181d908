from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sso.oidc.addresses import Target, may_be_asked, origin_of, read_url

PUBLIC = ("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::", "64:ff9b::808:808")
PRIVATE = (
    "127.0.0.1", "127.255.0.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "::1", "fd12:3456::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "2002:c0a8:101::", "64:ff9b::7f00:1",
)  # fmt: skip
NEVER = (
    "0.0.0.0", "0.1.2.3", "169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1",
    "198.18.0.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "::", "fe80::1", "fe80::a9fe:a9fe",
    "fec0::1", "ff02::1", "ff0e::1", "fd00:ec2::254", "fd20:ce::254", "100::1", "2001:db8::1", "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:a9fe:a9fe::", "::ffff:0.0.0.0", "::169.254.169.254",
)  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_asked(address: str) -> None:
    assert may_be_asked(ip_address(address))
    assert may_be_asked(ip_address(address), allows_private=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_asked_only_if_the_operator_allows_it(address: str) -> None:
    assert not may_be_asked(ip_address(address))
    assert may_be_asked(ip_address(address), allows_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_metadata_of_clouds_and_addresses_of_no_single_machine_are_never_asked(address: str) -> None:
    assert not may_be_asked(ip_address(address))
    assert not may_be_asked(ip_address(address), allows_private=True)


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_each_of_its_ipv6_spellings(address: IPv4Address) -> None:
    number = int(address)
    spellings = (
        IPv6Address(0xFFFF << 32 | number),
        IPv6Address(0x2002 << 112 | number << 80),
        IPv6Address(0x64FF9B << 96 | number),
    )
    for spelling in spellings:
        for allows_private in (True, False):
            expected = may_be_asked(address, allows_private=allows_private)
            assert may_be_asked(spelling, allows_private=allows_private) == expected


@given(st.ip_addresses(v=4))
def test_what_is_not_global_is_never_asked_unless_that_is_allowed(address: IPv4Address) -> None:
    assert not may_be_asked(address) or address.is_global


@given(st.ip_addresses())
def test_what_may_be_asked_may_be_asked_if_more_is_allowed(address: IPv4Address | IPv6Address) -> None:
    assert not may_be_asked(address) or may_be_asked(address, allows_private=True)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://id.example.com", Target("https", "id.example.com", 443, "/")),
        ("https://id.example.com/", Target("https", "id.example.com", 443, "/")),
        ("https://ID.Example.com:8443/a/b?c=d&e", Target("https", "id.example.com", 8443, "/a/b?c=d&e")),
        ("https://[2606:4700::1111]:444/", Target("https", "2606:4700::1111", 444, "/")),
        ("https://8.8.8.8/x", Target("https", "8.8.8.8", 443, "/x")),
        ("https://key_cloak/x", Target("https", "key_cloak", 443, "/x")),
        ("https://127.0.0.1/x", Target("https", "127.0.0.1", 443, "/x")),  # its address is judged later
    ],
)
def test_a_url_is_taken_apart(url: str, target: Target) -> None:
    assert read_url(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "", "https://", "https:", "https:///x", "id.example.com", "//id.example.com", "http://id.example.com",
        "ftp://id.example.com", "javascript://id.example.com/%0aalert(1)", "file:///etc/passwd", "data:,x",
        "https://user@id.example.com", "https://user:pw@id.example.com", "https://id.example.com@evil.example",
        "https://id.example.com#x", "https://id.example.com/#", "https://id.example.com\\@evil.example/",
        "https://id.example.com\\x", "https://id.example.com/ x", " https://id.example.com", "https://id.example.com\n",
        "https://id.example.com/\r\nHost: x", "https://id.example.com/\x00", "https://idé.example.com",
        "https://id.example.com/é", "https://id.example.com:0", "https://id.example.com:65536",
        "https://id.example.com:x", "https://id.example.com:-1", "https://id..example.com", "https://.example.com",
        "https://id.example.com.", "https://-", "https://id.example.com%00", "https://id.ex%61mple.com",
        "https://2130706433/", "https://0x7f000001/", "https://127.1/", "https://0177.0.0.1/", "https://127.0.0.0x1/",
        "https://id.0x7f/", "https://[::1", "https://[::1%25eth0]/", "https://[127.0.0.1]/", "https://[::g]/",
        "https://[v1.x]/", "https://id.example.com/" + 2_048 * "a",
    ],
)  # fmt: skip
def test_a_url_that_is_not_https_or_not_plain_is_refused(url: str) -> None:
    assert read_url(url) is None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_http_is_accepted_for_this_machine_if_the_caller_allows_it(host: str) -> None:
    assert read_url(f"http://{host}:8080/x") is None
    assert read_url(f"http://{host}:8080/x", allows_http=True) is not None


@pytest.mark.parametrize("host", ["id.example.com", "10.0.0.1", "localhost.example", "[fd00::1]", "127.0.0.1.example"])
def test_http_is_never_accepted_for_another_machine(host: str) -> None:
    assert read_url(f"http://{host}/x", allows_http=True) is None


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://id.example.com/x?y", "https://id.example.com:443"),
        ("http://localhost:8080/x", "http://localhost:8080"),
        ("https://[2606:4700:0:0::1111]/", "https://[2606:4700:0:0::1111]:443"),
        ("nonsense", ""),
    ],
)
def test_an_origin_has_its_port(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    for url in (text, f"https://{text}", f"https://id.example.com{text}", f"https://[{text}]"):
        target = read_url(url, allows_http=True)
        assert target is None or read_url(target.url, allows_http=True) == target
