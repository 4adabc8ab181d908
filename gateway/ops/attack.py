"""Attacks on sign-ins, recognised from failed attempts: where they come from, which accounts they try, and what the
gateway did about them. Pure, and slow if there are thousands of addresses: it runs in a thread.

An attack is failures for many accounts from one place, failures for one account from many addresses, or one password on
many accounts. A place is an address (IPv6: its /64), or its network (/24, IPv6: /48) if no single address there tries
many accounts, or more than two do. It is looked for in the last 15 minutes first, then in the last hour.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple

from gateway.model.event import Event
from gateway.ops.blocks import Block
from gateway.ops.failed_passwords import Tried
from gateway.ops.rows import Lock, Pair
from gateway.throttle.limits import address_bucket

RECENT_SECONDS = 900
LOOK_BACK_SECONDS = 3_600
MANY_ADDRESSES = 5
FEW_ADDRESSES = 2  # of one network, that are attackers: more of them are told of as the network
NETWORK_BITS = {4: 24, 6: 48}


@dataclass(frozen=True, slots=True)
class Source:
    """A place with failed sign-ins for many accounts in the last `seconds`. `locks` are the lockouts there.

    `block` is the one that covers the whole place. `last` is UTC seconds.
    """

    place: str
    accounts: int
    failures: int
    last: int
    seconds: int
    locks: int = 0
    block: Block | None = None

    @property
    def search(self) -> Mapping[str, str]:
        """The fields of the audit log's search that find the failures there, as well as it can."""
        if "/" not in self.place:
            return {"event": Event.LOGIN_FAILED.value, "address": self.place}
        network = ip_network(self.place)
        if isinstance(network, IPv4Network):  # a /24: its addresses begin alike
            return {"event": Event.LOGIN_FAILED.value, "words": f"{self.place.rpartition('.')[0]}."}
        return {"event": Event.LOGIN_FAILED.value}


@dataclass(frozen=True, slots=True)
class Target:
    """An account with failed sign-ins from many addresses in the last `seconds`, and its lockouts."""

    identifier: str
    addresses: int
    failures: int
    last: int
    seconds: int
    locks: int = 0


class State(Enum):
    """How bad it is. CONTAINED: every place that attacks is blocked. OVER: nothing failed for 15 minutes."""

    QUIET = "quiet"
    OVER = "over"
    CONTAINED = "contained"
    UNDER_WAY = "under_way"


@dataclass(frozen=True, slots=True)
class Picture:
    """Attacks, lockouts and blocks, the worst of each kind first.

    `locked` counts all lockouts, `blocked` all blocks, `others` the attacks that are left out.
    """

    state: State = State.QUIET
    sources: tuple[Source, ...] = ()
    targets: tuple[Target, ...] = ()
    passwords: tuple[Tried, ...] = ()
    locks: tuple[Lock, ...] = ()
    locked: int = 0
    blocks: tuple[Block, ...] = ()
    blocked: int = 0
    others: int = 0


def state_of(
    sources: Iterable[Source], targets: Iterable[Target], passwords: Sequence[Tried], last: int, now: int
) -> State:
    """Return the state of all attacks. `last` is when a sign-in failed last: tried passwords don't say that."""
    since = now - RECENT_SECONDS
    places = [source for source in sources if source.last > since]
    others = [target for target in targets if target.last > since]
    if others or (passwords and last > since) or any(source.block is None for source in places):
        return State.UNDER_WAY
    if places:
        return State.CONTAINED
    return State.OVER if passwords or any(True for _ in (*sources, *targets)) else State.QUIET


class Failures(NamedTuple):
    """The failures of one account at one address (IPv6: its /64) of a network."""

    identifier: str
    address: str
    network: str
    times: int
    last: int


def locate(pairs: Iterable[Pair]) -> list[Failures]:
    """Find the network of each pair's address, once for each address: parsing one takes some microseconds."""
    known: dict[str, tuple[str, str]] = {}
    found = []
    for pair in pairs:
        if pair.address not in known:
            bucket = pair.address if is_plain(pair.address) else address_bucket(pair.address)
            known[pair.address] = bucket, network_of(pair.address)
        found.append(Failures(pair.identifier, *known[pair.address], pair.failures, pair.last))
    return found


def find_sources(recent: Iterable[Failures], failures: Iterable[Failures], many: int) -> list[Source]:
    """Return the places with failures for `many` accounts in the last 15 minutes, then those of the last hour."""
    newest = list_sources(recent, many, RECENT_SECONDS)
    known = {network_of(source.place) for source in newest}
    older = list_sources((each for each in failures if each.network not in known), many, LOOK_BACK_SECONDS)
    return [*newest, *older]


def list_sources(failures: Iterable[Failures], many: int, seconds: int) -> list[Source]:
    by_network: dict[str, list[Failures]] = defaultdict(list)
    for each in failures:
        if each.address:
            by_network[each.network].append(each)
    found = (source for network, of_it in by_network.items() for source in sources_in(network, of_it, many, seconds))
    return sorted(found, key=lambda source: -source.accounts)


def sources_in(network: str, failures: Sequence[Failures], many: int, seconds: int) -> list[Source]:
    """Return the addresses of `network` that each try `many` accounts, or if they are none or several, the network."""
    if len(failures) < many:
        return []
    by_address: dict[str, list[Failures]] = defaultdict(list)
    for each in failures:
        by_address[each.address].append(each)
    sources = [source_of(address, of_it, seconds) for address, of_it in by_address.items()]
    alone = [source for source in sources if source.accounts >= many]
    whole = source_of(network, failures, seconds)
    return alone if 1 <= len(alone) <= FEW_ADDRESSES else [whole] if whole.accounts >= many else []


def source_of(place: str, failures: Sequence[Failures], seconds: int) -> Source:
    accounts = len({each.identifier for each in failures if each.identifier})
    return Source(place, accounts, sum(each.times for each in failures), max(each.last for each in failures), seconds)


def find_targets(recent: Iterable[Failures], failures: Iterable[Failures], sources: Iterable[Source]) -> list[Target]:
    """Return the accounts with failures from MANY_ADDRESSES in the last 15 minutes, then those of the last hour.

    What comes from `sources` is left out: those are told of already.
    """
    told = {network_of(source.place) for source in sources}
    newest = list_targets((each for each in recent if each.network not in told), RECENT_SECONDS)
    known = {target.identifier for target in newest}
    older = list_targets((each for each in failures if each.network not in told), LOOK_BACK_SECONDS)
    return [*newest, *(target for target in older if target.identifier not in known)]


def list_targets(failures: Iterable[Failures], seconds: int) -> list[Target]:
    by_account: dict[str, list[Failures]] = defaultdict(list)
    for each in failures:
        if each.identifier:
            by_account[each.identifier].append(each)
    targets = [
        Target(
            identifier,
            len({each.address for each in found if each.address}),
            sum(each.times for each in found),
            max(each.last for each in found),
            seconds,
        )
        for identifier, found in by_account.items()
        if len(found) >= MANY_ADDRESSES
    ]
    return sorted((t for t in targets if t.addresses >= MANY_ADDRESSES), key=lambda target: -target.addresses)


def count_by_place(locks: Iterable[Lock]) -> Counter[str]:
    """Count the lockouts of each address, and of each network."""
    counts: Counter[str] = Counter()
    for lock in locks:
        if lock.address:
            counts.update({lock.address, network_of(lock.address)})
    return counts


def count_by_account(locks: Iterable[Lock]) -> Mapping[str, int]:
    return Counter(lock.who for lock in locks if lock.who)


def covering(place: str, blocks: Iterable[Block]) -> Block | None:
    """Return the block of the whole place that lasts longest."""
    holding = [block for block in blocks if is_part_of(place, block.network)]
    return max(holding, key=lambda block: block.until, default=None)


def is_part_of(place: str, network: str) -> bool:
    try:
        inner, outer = ip_network(place, strict=False), ip_network(network)
    except ValueError:  # connections over a Unix socket have no address
        return False
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


@lru_cache(maxsize=4_096)
def network_of(address: str) -> str:
    """Return the network that an address belongs to, or the address itself if it is none."""
    if is_plain(address):
        return f"{address.rpartition('.')[0]}.0/24"
    try:
        network = ip_network(address_bucket(address), strict=False)
    except ValueError:
        return address
    bits = NETWORK_BITS[network.version]
    return str(network if network.prefixlen <= bits else network.supernet(new_prefix=bits))


def is_plain(address: str) -> bool:
    """Whether this is an IPv4 address. The log has addresses that were parsed, so it isn't parsed again."""
    return address.count(".") == 3 and address.replace(".", "").isdigit()


def by_address(pairs: Iterable[Pair], many: int) -> list[tuple[str, int]]:
    """Return the single addresses with failures for `many` accounts, and the number of accounts, worst first."""
    accounts: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        if pair.address and pair.identifier:
            accounts[address_bucket(pair.address)].add(pair.identifier)
    counts = Counter({address: len(found) for address, found in accounts.items()})
    return [(address, count) for address, count in counts.most_common() if count >= many]
