"""Network rules: what is read, what is written, and which address is allowed when."""

from __future__ import annotations

from datetime import date
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.model.account import Role
from gateway.model.network_rule import (
    ADMINISTRATOR,
    ALL_END,
    EXEMPT,
    MAX_RANGES,
    NO_DATE,
    NO_NAME,
    NO_NETWORK,
    PAST,
    REMEMBERED,
    TOO_MANY,
    Mistake,
    NetworkRule,
    Range,
    check,
    combine,
    read_range,
    read_ranges,
    read_stored,
    read_typed,
    rule_of,
    write_ranges,
    write_sections,
)
from gateway.model.networks import read_network

NOW = 1_800_000_000  # 2027-01-15 08:00 UTC
TODAY = date(2027, 1, 15)
WRITTEN = {
    "203.0.113.7": "203.0.113.7",
    "203.0.113.7/32": "203.0.113.7",
    "  203.0.113.9/24   The  Office ": "203.0.113.0/24 The Office",
    "203.0.113.0/255.255.255.0 Office": "203.0.113.0/24 Office",
    "2001:DB8:0:0::/64 Home until 2026-12-31": "2001:db8::/64 Home until 2026-12-31",
    "::ffff:203.0.113.7": "203.0.113.7",
    "::ffff:203.0.113.0/120 VPN": "203.0.113.0/24 VPN",
    "::ffff:cb00:7107": "203.0.113.7",
    "fe80::1%eth0 Lab": "fe80::1 Lab",
    "fe80::%eth0/64": "fe80::/64",
    "0.0.0.0/0": "0.0.0.0/0",
    "10.0.0.1 until we move until 2027-02-01": "10.0.0.1 until we move until 2027-02-01",
    "10.0.0.1 Büro [Köln]": "10.0.0.1 Büro [Köln]",
}
WRONG = {
    "Office": NO_NETWORK,
    "203.0.113.0/33": NO_NETWORK,
    "203.0.113": NO_NETWORK,
    "1": NO_NETWORK,
    "0203.0.113.7": NO_NETWORK,
    "[2001:db8::1]": NO_NETWORK,
    "2001:db8::/129": NO_NETWORK,
    "203.0.113.7:443": NO_NETWORK,
    "localhost": NO_NETWORK,
    "[admin]": NO_NETWORK,
    "10.0.0.1 until": NO_DATE,
    "10.0.0.1 Office until 2027-02-30": NO_DATE,
    "10.0.0.1 Office until tomorrow": NO_DATE,
    "10.0.0.1 Office until 20270201": NO_DATE,
    "10.0.0.1 " + "x" * 61: NO_NAME,
    "10.0.0.1 a\u200bb": NO_NAME,
}


@pytest.mark.parametrize(("given", "written"), WRITTEN.items())
def test_a_line_has_one_spelling(given: str, written: str) -> None:
    assert str(read_range(given)) == written
    assert str(read_range(written)) == written


TYPED = {
    "10.0.0.1 Hotel bis 31.12.2026": "10.0.0.1 Hotel until 2026-12-31",
    "10.0.0.1 Hotel bis 1. 2. 2027": "10.0.0.1 Hotel until 2027-02-01",
    "10.0.0.1 Albergo fino al 2026-12-31": "10.0.0.1 Albergo until 2026-12-31",
    "10.0.0.1 BIS 2026-12-31": "10.0.0.1 until 2026-12-31",
    "10.0.0.1 until we move until 2027-02-01": "10.0.0.1 until we move until 2027-02-01",
    "10.0.0.1 Rede do Hotel": "10.0.0.1 Rede do Hotel",
    "10.0.0.1 until": NO_DATE,
    "10.0.0.1 until 31 Dec 2026": NO_DATE,
    "10.0.0.1 Home until Dec 31, 2026": NO_DATE,
    "10.0.0.1 Home until 31/12/2026": NO_DATE,
    "10.0.0.1 Hotel bis 31.02.2026": NO_DATE,
    "10.0.0.1 Hotel bis zum 31.12.2026": NO_DATE,
    "10.0.0.1 Hôtel jusqu’au 31/12": NO_DATE,
}


@pytest.mark.parametrize(("given", "read"), TYPED.items())
def test_an_end_that_was_typed_is_read_or_refused_and_never_a_part_of_the_name(given: str, read: str) -> None:
    if read is not NO_DATE:
        assert write_ranges(read_typed(given)) == read
        return
    with pytest.raises(Mistake) as caught:
        read_typed(given)
    assert caught.value.why == read


@pytest.mark.parametrize(("given", "why"), WRONG.items())
def test_a_wrong_line_is_named(given: str, why: str) -> None:
    with pytest.raises(Mistake) as caught:
        read_ranges(f"192.0.2.1\n{given}")
    assert caught.value.why == why
    assert caught.value.line == given[:100]


def test_equal_lines_are_one_and_there_are_at_most_a_hundred() -> None:
    assert read_ranges("10.0.0.1\n\n 10.0.0.1/32\r\n10.0.0.1 A") == (read_range("10.0.0.1"), read_range("10.0.0.1 A"))
    lines = [f"10.0.{number}.1" for number in range(MAX_RANGES)]
    assert len(read_ranges("\n".join(lines))) == MAX_RANGES
    with pytest.raises(Mistake, match=str(TOO_MANY)):
        read_ranges("\n".join([*lines, "10.1.1.1"]))


NETWORKS = st.one_of(st.ip_addresses(), st.ip_addresses(v=4, network="10.0.0.0/8")).flatmap(
    lambda address: st.integers(0, address.max_prefixlen).map(lambda length: f"{address}/{length}")
)
NAMES = st.text(max_size=60)
DATES = st.dates().map(str) | st.just("")


@given(st.text(max_size=200) | st.tuples(NETWORKS, NAMES, DATES).map(lambda found: " until ".join(found[:3])))
@example("10.0.0.1 until 2026-01-01 until 2026-01-02")
@example("10.0.0.1 until until 2026-01-02")
@example("::ffff:0.0.0.0/96 x")
def test_reading_what_was_written_gives_the_same(text: str) -> None:
    try:
        ranges = read_ranges(text)
    except Mistake:
        return
    assert read_ranges(write_ranges(ranges)) == ranges
    sections = {"": ranges, "admin": ranges} if ranges else {}
    assert read_stored(write_sections(sections)) == sections


@given(NETWORKS, st.ip_addresses())
def test_an_address_is_in_a_network_as_the_standard_library_says(network: str, address: object) -> None:
    found = read_network(network)
    assert found is not None
    given_network = ip_network(network, strict=False)
    client = str(address)
    is_mapped = ip_address(client).version == 6 and getattr(ip_address(client), "ipv4_mapped", None) is not None
    if is_mapped or found.version != given_network.version:
        return
    rule = NetworkRule((("them", (Range(found),)),))
    assert (rule.refuse(client, NOW) == "") is (ip_address(client) in given_network)


SPELLINGS = ["203.0.113.7", "::ffff:203.0.113.7", "::ffff:cb00:7107", "::FFFF:203.0.113.7%eth0", "0::ffff:203.0.113.7"]


@pytest.mark.parametrize("client", SPELLINGS)
@pytest.mark.parametrize("written", SPELLINGS[:3])
def test_every_spelling_of_an_address_is_one(written: str, client: str) -> None:
    """THREATS 66."""
    rule = rule_of(f"{written}\n198.51.100.0/24", "", Role.EMPLOYEE, is_owner=False)
    assert rule is not None
    assert rule.refuse(client, NOW) == ""
    assert rule.refuse("203.0.113.8", NOW)


@pytest.mark.parametrize("address", ["", "unix", "unknown", "203.0.113.7:80", "203.0.113", "[2001:db8::1]"])
def test_what_is_no_address_is_refused(address: str) -> None:
    rule = rule_of("0.0.0.0/0\n::/0", "", Role.EMPLOYEE, is_owner=False)
    assert rule is not None
    assert rule.refuse(address, NOW)


def test_an_exception_ends_after_its_day_even_where_it_is_remembered() -> None:
    rule = rule_of(f"10.0.0.0/8\n192.0.2.1 Hotel until {TODAY}", "", Role.EMPLOYEE, is_owner=False)
    assert rule is not None
    midnight = NOW // 86_400 * 86_400 + 86_400
    assert rule.refuse("192.0.2.1", NOW) == ""
    assert rule.refuse("192.0.2.1", midnight - 1) == ""
    assert rule.refuse("192.0.2.1", midnight)
    assert rule.refuse("10.0.0.1", midnight) == ""


TENANT = "10.0.0.0/8 Office\n[admin]\n10.9.0.0/16 VPN"
# Text of the tenant, text of the account, role, whether an owner, address, whether it is allowed.
CASES = [
    (TENANT, "", Role.EMPLOYEE, False, "10.0.0.1", True),
    (TENANT, "", Role.EMPLOYEE, False, "192.0.2.1", False),
    (TENANT, "", Role.MANAGER, False, "10.0.0.1", True),
    (TENANT, "", Role.ADMIN, False, "10.0.0.1", False),
    (TENANT, "", Role.ADMIN, False, "10.9.0.1", True),
    ("[employee]\n192.0.2.1", "", Role.ADMIN, False, "198.51.100.1", True),
    ("[employee]\n192.0.2.1", "", Role.EMPLOYEE, False, "198.51.100.1", False),
    (TENANT, "10.0.0.1", Role.EMPLOYEE, False, "10.0.0.1", True),
    (TENANT, "10.0.0.1", Role.EMPLOYEE, False, "10.0.0.2", False),
    (TENANT, "192.0.2.1", Role.EMPLOYEE, False, "192.0.2.1", False),
    ("", "192.0.2.1", Role.EMPLOYEE, False, "192.0.2.1", True),
    ("", "192.0.2.0/24\n[administrator]\n192.0.2.1", Role.EMPLOYEE, False, "192.0.2.1", True),
    ("", "192.0.2.0/24\n[administrator]\n192.0.2.1", Role.EMPLOYEE, False, "192.0.2.2", False),
    (TENANT, "[exempt]", Role.EMPLOYEE, False, "192.0.2.1", True),
    (TENANT, "[exempt]\n[administrator]\n10.0.0.1", Role.EMPLOYEE, False, "192.0.2.1", False),
    (TENANT, "", Role.ADMIN, True, "192.0.2.1", True),
    (TENANT, "[administrator]\n10.0.0.1", Role.ADMIN, True, "192.0.2.1", True),
    (TENANT, "10.0.0.1", Role.ADMIN, True, "192.0.2.1", False),
    ("a line of a newer version", "", Role.EMPLOYEE, False, "192.0.2.1", False),
    ("10.0.0.0/8 until 2020-01-01", "", Role.EMPLOYEE, False, "10.0.0.1", False),
]


@pytest.mark.parametrize(("tenant", "account", "role", "is_owner", "address", "is_allowed"), CASES)
def test_all_lists_of_an_account_have_to_allow_the_address(
    tenant: str, account: str, role: Role, is_owner: bool, address: str, is_allowed: bool
) -> None:
    rule = rule_of(tenant, account, role, is_owner=is_owner)
    refusal = rule.refuse(address, NOW) if rule else ""
    assert (refusal == "") is is_allowed
    assert refusal == "" or refusal.startswith("in none of the networks of ")


OWNERS = "203.0.113.0/24 Office"
OF_OWNERS = [
    ("", "", True, "203.0.113.1", True),
    ("", "", True, "192.0.2.1", False),
    ("192.0.2.1", "", True, "192.0.2.1", False),
    ("192.0.2.1", "", True, "203.0.113.1", True),
    ("", "[exempt]", True, "192.0.2.1", False),
    ("", "203.0.113.7", True, "203.0.113.1", False),
    ("", "", False, "192.0.2.1", True),
    ("192.0.2.1", "", False, "192.0.2.1", True),
]


@pytest.mark.parametrize(("tenant", "account", "is_owner", "address", "is_allowed"), OF_OWNERS)
def test_the_list_of_the_settings_is_for_owners_alone(
    tenant: str, account: str, is_owner: bool, address: str, is_allowed: bool
) -> None:
    rule = rule_of(tenant, account, Role.ADMIN, is_owner=is_owner, of_owners=OWNERS)
    assert ((rule.refuse(address, NOW) if rule else "") == "") is is_allowed


def test_without_lists_there_is_no_rule_and_the_same_texts_share_one() -> None:
    assert rule_of("", "", Role.ADMIN, is_owner=False) is None
    assert rule_of("[admin]\n10.0.0.1", "", Role.EMPLOYEE, is_owner=False) is None
    assert rule_of("", "[exempt]", Role.EMPLOYEE, is_owner=False) is None
    assert combine(TENANT, "", Role.ADMIN, False) is rule_of(TENANT, "", Role.ADMIN, is_owner=False)


def test_sections_are_written_as_they_are_read() -> None:
    text = "10.0.0.0/8 Own\n[administrator]\n192.0.2.0/24\n[exempt]"
    assert write_sections(read_stored(text)) == text
    assert set(read_stored(text)) == {"", ADMINISTRATOR, EXEMPT}
    assert write_sections({"": (), "admin": ()}) == ""


def test_a_list_that_would_end_is_not_accepted() -> None:
    check((), NOW)
    check(read_ranges(f"10.0.0.1\n10.0.0.2 until {TODAY}"), NOW)
    with pytest.raises(Mistake, match=str(ALL_END)):
        check(read_ranges(f"10.0.0.2 until {TODAY}"), NOW)
    with pytest.raises(Mistake) as caught:
        check(read_ranges("10.0.0.1\n10.0.0.2 until 2027-01-14"), NOW)
    assert (caught.value.why, caught.value.line) == (PAST, "10.0.0.2 until 2027-01-14")


def test_what_is_remembered_is_bounded() -> None:
    rule, asked = NetworkRule((("everyone", read_ranges("2001:db8::/32")),)), range(3 * REMEMBERED)
    for number in asked:
        assert rule.refuse(f"2001:db8::{number:x}", NOW) == ""
        rule.refuse(f"2001:db9::{number:x}", NOW)
    kept = sum(f"2001:db8::{number:x}" in rule._allowed_until for number in asked)
    assert REMEMBERED <= kept <= 2 * REMEMBERED
