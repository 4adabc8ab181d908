"""Attacks on sign-ins, recognised from failed attempts: where they come from, which accounts they try, and what the
gateway did about them. Pure.

An attack is failures for many accounts from one place, failures for one account from many addresses, or one password on
many accounts. A place is an address (IPv6: its /64), or its network (/24, IPv6: /48) if no single address there tries
many accounts, or more than two do. It is looked for in the last 15 minutes first, then in the last hour.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

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

    `locked` counts all lockouts, `others` the attacks that are left out.
    """

    state: State = State.QUIET
    sources: tuple[Source, ...] = ()
    targets: tuple[Target, ...] = ()
    passwords: tuple[Tried, ...] = ()
    locks: tuple[Lock, ...] = ()
    locked: int = 0
    blocks: tuple[Block, ...] = ()
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


def find_sources(recent: Iterable[Pair], all_pairs: Iterable[Pair], many: int) -> list[Source]:
    """Return the places with failures for `many` accounts in the last 15 minutes, then those of the last hour."""
    newest = list(list_sources(recent, many, RECENT_SECONDS))
    known = {network_of(source.place) for source in newest}
    older = (s for s in list_sources(all_pairs, many, LOOK_BACK_SECONDS) if network_of(s.place) not in known)
    return [*newest, *older]


def list_sources(pairs: Iterable[Pair], many: int, seconds: int) -> list[Source]:
    by_network: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.address:
            by_network[network_of(pair.address)].append(pair)
    found = (source for network, of_it in by_network.items() for source in sources_in(network, of_it, many, seconds))
    return sorted((source for source in found if source.accounts >= many), key=lambda source: -source.accounts)


def sources_in(network: str, pairs: Sequence[Pair], many: int, seconds: int) -> list[Source]:
    """Return the addresses of `network` that each try `many` accounts, or if they are none or several, the network."""
    by_address: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_address[address_bucket(pair.address)].append(pair)
    each = [source_of(address, of_it, seconds) for address, of_it in by_address.items()]
    alone = [source for source in each if source.accounts >= many]
    return alone if 1 <= len(alone) <= FEW_ADDRESSES else [source_of(network, pairs, seconds)]


def source_of(place: str, pairs: Sequence[Pair], seconds: int) -> Source:
    accounts = len({pair.identifier for pair in pairs if pair.identifier})
    return Source(place, accounts, sum(p.failures for p in pairs), max(p.last for p in pairs), seconds)


def find_targets(recent: Iterable[Pair], all_pairs: Iterable[Pair], sources: Iterable[Source]) -> list[Target]:
    """Return the accounts with failures from MANY_ADDRESSES in the last 15 minutes, then those of the last hour.

    What comes from `sources` is left out: those are told of already.
    """
    told = {network_of(source.place) for source in sources}
    newest = list_targets((pair for pair in recent if network_of(pair.address) not in told), RECENT_SECONDS)
    known = {target.identifier for target in newest}
    older = list_targets((pair for pair in all_pairs if network_of(pair.address) not in told), LOOK_BACK_SECONDS)
    return [*newest, *(target for target in older if target.identifier not in known)]


def list_targets(pairs: Iterable[Pair], seconds: int) -> list[Target]:
    by_account: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.identifier:
            by_account[pair.identifier].append(pair)
    targets = [
        Target(
            identifier,
            len({address_bucket(pair.address) for pair in found if pair.address}),
            sum(pair.failures for pair in found),
            max(pair.last for pair in found),
            seconds,
        )
        for identifier, found in by_account.items()
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
    try:
        network = ip_network(address_bucket(address), strict=False)
    except ValueError:
        return address
    bits = NETWORK_BITS[network.version]
    return str(network if network.prefixlen <= bits else network.supernet(new_prefix=bits))


def by_address(pairs: Iterable[Pair], many: int) -> Iterator[tuple[str, int]]:
    """Yield the single addresses with failures for `many` accounts, and the number of accounts, worst first."""
    accounts: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        if pair.address and pair.identifier:
            accounts[address_bucket(pair.address)].add(pair.identifier)
    counts = Counter({address: len(found) for address, found in accounts.items()})
    yield from ((address, count) for address, count in counts.most_common() if count >= many)
