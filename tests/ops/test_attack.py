"""What counts as an attack, where it comes from, and how bad it is. Pure."""

from __future__ import annotations

import pytest

from gateway.ops.attack import (
    Source,
    State,
    Target,
    count_by_place,
    covering,
    find_sources,
    find_targets,
    locate,
    network_of,
    state_of,
)
from gateway.ops.blocks import Block
from gateway.ops.failed_passwords import Tried
from gateway.ops.rows import Lock, Pair

NOW = 1_800_000_000
MANY = 5


def pairs(*addresses: str, accounts: int = MANY, at: int = NOW) -> list[Pair]:
    return [Pair(f"p{n}@acme.example", address, 2, at) for address in addresses for n in range(accounts)]


def block(network: str, until: int = NOW + 60) -> Block:
    return Block(network, until, NOW, "olga@otium.example")


SEVERAL = [f"192.0.2.{n}" for n in range(1, 4)]


@pytest.mark.parametrize(
    ("failures", "places"),
    [
        (pairs("192.0.2.1"), ["192.0.2.1"]),
        (pairs("192.0.2.1", accounts=MANY - 1), []),
        (pairs("192.0.2.1", "192.0.2.2"), ["192.0.2.1", "192.0.2.2"]),
        (pairs(*SEVERAL), ["192.0.2.0/24"]),  # each of them tries many
        ([Pair(f"p{n}", f"192.0.2.{n}", 1, NOW) for n in range(MANY)], ["192.0.2.0/24"]),  # only all of them do
        ([Pair(f"p{n}", f"192.0.{n}.1", 1, NOW) for n in range(MANY)], []),
        ([*pairs("192.0.2.1"), Pair("own@acme.example", "192.0.2.9", 90, NOW)], ["192.0.2.1"]),
        ([Pair(f"p{n}", f"2001:db8::{n}", 1, NOW) for n in range(MANY)], ["2001:db8::/64"]),
        ([Pair(f"p{n}", f"2001:db8:0:{n}::1", 1, NOW) for n in range(MANY)], ["2001:db8::/48"]),
        ([Pair(f"p{n}", "", 1, NOW) for n in range(MANY)], []),  # over a Unix socket, or counted without an address
        ([Pair("", "192.0.2.1", 900, NOW)], []),  # counted without emails: there may have been one
    ],
)
def test_the_place_of_an_attack_is_an_address_or_its_network(failures: list[Pair], places: list[str]) -> None:
    assert sorted(source.place for source in find_sources(locate(failures), locate(failures), MANY)) == places


def test_the_last_quarter_of_an_hour_is_told_of_before_the_hour() -> None:
    before = pairs("192.0.2.1", "198.51.100.1", accounts=9, at=NOW - 3_000)
    recent = pairs("192.0.2.1")
    found = find_sources(locate(recent), locate([*recent, *before]), MANY)
    assert [(source.place, source.seconds, source.accounts) for source in found] == [
        ("192.0.2.1", 900, MANY),
        ("198.51.100.1", 3_600, 9),
    ]


def test_an_account_that_is_tried_from_a_place_that_is_told_of_is_no_second_attack() -> None:
    of_one = [Pair("one@acme.example", f"192.0.2.{n}", 1, NOW) for n in range(9)]
    spread = [Pair("two@acme.example", f"198.51.{n}.1", 1, NOW) for n in range(9)]
    assert {target.identifier for target in find_targets(locate(of_one), locate(of_one), [])} == {"one@acme.example"}
    told = [Source("192.0.2.0/24", 9, 9, NOW, 900)]
    both = locate([*of_one, *spread])
    assert [(t.identifier, t.addresses) for t in find_targets(both, both, told)] == [("two@acme.example", 9)]


LONG_AGO = NOW - 1_000
OPEN, OVER = Source("192.0.2.1", 9, 9, NOW, 900), Source("192.0.2.1", 9, 9, LONG_AGO, 3_600)
BLOCKED = Source("192.0.2.1", 9, 9, NOW, 900, 0, block("192.0.2.0/24"))
TARGET = Target("one@acme.example", 9, 9, NOW, 900)
TRIED = Tried(NOW - 1_800, 9)


@pytest.mark.parametrize(
    ("sources", "targets", "passwords", "last", "state"),
    [
        ([], [], [], 0, State.QUIET),
        ([], [], [], NOW, State.QUIET),
        ([OPEN], [], [], NOW, State.UNDER_WAY),
        ([OPEN, BLOCKED], [], [], NOW, State.UNDER_WAY),
        ([BLOCKED], [], [], NOW, State.CONTAINED),
        ([BLOCKED], [TARGET], [], NOW, State.UNDER_WAY),
        ([BLOCKED], [], [TRIED], NOW, State.UNDER_WAY),
        ([OVER], [], [], LONG_AGO, State.OVER),
        ([OVER, BLOCKED], [], [], NOW, State.CONTAINED),
        ([], [], [TRIED], LONG_AGO, State.OVER),
        ([], [], [TRIED], NOW, State.UNDER_WAY),
    ],
)
def test_the_state_is_the_worst_that_is_going_on(
    sources: list[Source], targets: list[Target], passwords: list[Tried], last: int, state: State
) -> None:
    assert state_of(sources, targets, passwords, last, NOW) is state


@pytest.mark.parametrize(
    ("place", "networks", "held"),
    [
        ("192.0.2.1", ["192.0.2.0/24"], True),
        ("192.0.2.0/24", ["192.0.2.0/24"], True),
        ("192.0.2.0/24", ["192.0.2.1/32"], False),  # a part is not the whole
        ("2001:db8::/64", ["2001:db8::/48"], True),
        ("192.0.2.1", ["2001:db8::/48"], False),
        ("", ["192.0.2.0/24"], False),
    ],
)
def test_a_place_is_blocked_if_all_of_it_is(place: str, networks: list[str], held: bool) -> None:
    assert (covering(place, map(block, networks)) is not None) is held


def test_lockouts_count_for_their_address_and_its_network() -> None:
    locks = [Lock("k", "password", "p@acme.example", address, NOW) for address in ("192.0.2.1", "192.0.2.2", "")]
    counts = count_by_place(locks)
    assert (counts["192.0.2.1"], counts["192.0.2.0/24"], counts[""]) == (1, 2, 0)


def test_entries_of_a_network_are_found_by_how_its_addresses_begin() -> None:
    assert Source("192.0.2.0/24", 9, 9, NOW, 900).search["words"] == "192.0.2."
    assert Source("192.0.2.7", 9, 9, NOW, 900).search["address"] == "192.0.2.7"
    assert set(Source("2001:db8::/64", 9, 9, NOW, 900).search) == {"event"}


def test_what_is_no_address_is_its_own_network() -> None:
    assert network_of("unix:") == "unix:"
