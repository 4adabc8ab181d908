"""Attack detection: the current picture, the owner's responses, and the mail about a password spray."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum

from gateway.actions.action import Action, Actions, requester
from gateway.audit import rows as audit
from gateway.mail.notices import write_moment
from gateway.mail.outbox import Outbox
from gateway.model.event import ACTOR, Entry, Event, Outcome
from gateway.model.inbound import Inbound
from gateway.model.networks import Network, is_within
from gateway.model.session import Session
from gateway.ops import blocks, failed_passwords, rows
from gateway.ops.blocks import Block
from gateway.ops.failed_passwords import Tried
from gateway.ops.rows import Lock, Pair
from gateway.store import Store, Transaction
from gateway.throttle import limits
from gateway.throttle.limits import address_bucket

LOOK_BACK_SECONDS = 3_600
MANY_ADDRESSES = 5
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Source:
    """An address (IPv6: a /64) with failed sign-ins to many accounts."""

    address: str
    accounts: int
    failures: int
    last: int


@dataclass(frozen=True, slots=True)
class Target:
    """An account with failed sign-ins from many addresses."""

    identifier: str
    addresses: int
    failures: int
    last: int


@dataclass(frozen=True, slots=True)
class Picture:
    """Current attacks and blocks, the worst of each kind first."""

    locks: tuple[Lock, ...] = ()
    sources: tuple[Source, ...] = ()
    targets: tuple[Target, ...] = ()
    passwords: tuple[Tried, ...] = ()
    blocks: tuple[Block, ...] = ()


class Unblockable(Enum):
    """Why a network is not blocked."""

    NO_NETWORK = "network"
    OWN = "own"


class AttackService:
    """`many` accounts within an hour count as a spray. `owners` are mailed; `ops_link` is the URL of their page."""

    def __init__(
        self, *, store: Store, actions: Actions, outbox: Outbox, owners: frozenset[str], many: int, ops_link: str
    ) -> None:
        self._store = store
        self._actions = actions
        self._outbox = outbox
        self._owners = owners
        self._many = many
        self._ops_link = ops_link

    async def picture(self, now: int) -> Picture:
        async with self._store.reading() as tx:
            pairs = await rows.list_failures(tx, now - LOOK_BACK_SECONDS)
            return Picture(
                tuple(await rows.list_locks(tx, now, SHOWN)),
                sources_of(pairs, self._many)[:SHOWN],
                targets_of(pairs)[:SHOWN],
                tuple(await failed_passwords.most_tried(tx, now, self._many))[:SHOWN],
                tuple(await blocks.list_active(tx, now)),
            )

    # The owner's responses.

    async def unlock(self, owner: Session, key: str, inbound: Inbound, now: int) -> bool:
        """Clear a lockout by its key. Returns whether it was locked."""
        async with self._store.transaction() as tx:
            lock = next((lock for lock in await rows.list_locks(tx, now, 10_000) if lock.key == key), None)
            if lock is None:
                return False
            await limits.clear(tx, key)
            details = {ACTOR: owner.identifier, "kind": lock.kind, "pair": lock.address}
            entry = Entry(Event.ACCOUNT_UNLOCKED, Outcome.SUCCESS, now, lock.who, details=details)
            await audit.record(tx, entry.seen_from(inbound, owner.id))
            return True

    def check_network(self, text: str, inbound: Inbound) -> Network | Unblockable:
        """Parse a network. One that contains the client's own address is refused."""
        network = blocks.read_network(text)
        if network is None:
            return Unblockable.NO_NETWORK
        return Unblockable.OWN if is_within(inbound.address, network) else network

    async def block(self, owner: Session, text: str, seconds: int, inbound: Inbound, now: int) -> Block | Unblockable:
        """Refuse sign-ins from a network for a time. The owner's own network can't be blocked."""
        network = self.check_network(text, inbound)
        if isinstance(network, Unblockable):
            return network
        block = Block(str(network), now + seconds, now, owner.identifier)
        async with self._begin(owner, inbound, now) as action:
            await blocks.add(action.tx, block)
            await action.record_own(Event.ADDRESS_BLOCKED, owner, {"network": block.network, "seconds": seconds})
        return block

    async def unblock(self, owner: Session, network: str, inbound: Inbound, now: int) -> bool:
        async with self._begin(owner, inbound, now) as action:
            if not await blocks.remove(action.tx, network):
                return False
            await action.record_own(Event.ADDRESS_UNBLOCKED, owner, {"network": network})
            return True

    async def find_block(self, address: str, now: int) -> Block | None:
        """Return the block of `address`, if any."""
        async with self._store.reading() as tx:
            return blocks.find_block(address, await blocks.list_active(tx, now))

    def _begin(self, owner: Session, inbound: Inbound, now: int) -> AbstractAsyncContextManager[Action]:
        return self._actions.begin(requester(inbound, owner.id), now)

    # In the background.

    async def watch(self, now: int) -> None:
        """Mail the owners about each new spray; delete old failed passwords."""
        async with self._store.reading() as tx:
            sources = sources_of(await rows.list_failures(tx, now - LOOK_BACK_SECONDS), self._many)
            tried = await failed_passwords.most_tried(tx, now, self._many)
            seen = {f"address:{source.address}": (source.accounts, source.address) for source in sources[:SHOWN]}
            if tried and tried[0].accounts > max((source.accounts for source in sources), default=0):
                seen["password"] = (tried[0].accounts, "")  # otherwise one of those addresses may be the cause
            fresh = {key: told for key, told in seen.items() if not await rows.is_alarm_known(tx, key, now)}
            has_old = await failed_passwords.has_old(tx, now)
        if fresh or has_old:
            async with self._store.transaction() as tx:
                await failed_passwords.forget_old(tx, now)
                for key, (accounts, address) in sorted(fresh.items()):
                    if await rows.raise_alarm(tx, key, now):
                        await self._tell(tx, accounts, address, now)

    async def _tell(self, tx: Transaction, accounts: int, address: str, now: int) -> None:
        details = {"accounts": accounts, "kind": "address" if address else "password"}
        place = address.partition("/")[0]
        await audit.record(tx, Entry(Event.LOGIN_SPRAY_SEEN, Outcome.FAILURE, now, "", address=place, details=details))
        for owner in sorted(self._owners):
            await self._outbox.post(
                tx,
                "login_spray",
                owner,
                account=None,
                now=now,
                accounts=accounts,
                where=address,
                at=write_moment(now - LOOK_BACK_SECONDS),
                ops_link=self._ops_link,
            )


def sources_of(pairs: Iterable[Pair], many: int) -> tuple[Source, ...]:
    """Return the addresses with failures for `many` accounts or more."""
    by_address: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_address[address_bucket(pair.address)].append(pair)
    sources = [
        Source(
            address,
            len({pair.identifier for pair in found if pair.identifier}),
            sum(pair.failures for pair in found),
            max(pair.last for pair in found),
        )
        for address, found in by_address.items()
        if address
    ]
    return tuple(sorted((s for s in sources if s.accounts >= many), key=lambda source: -source.accounts))


def targets_of(pairs: Iterable[Pair]) -> tuple[Target, ...]:
    """Return the accounts with failures from MANY_ADDRESSES or more."""
    by_account: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_account[pair.identifier].append(pair)
    targets = [
        Target(
            identifier,
            len({address_bucket(pair.address) for pair in found if pair.address}),
            sum(pair.failures for pair in found),
            max(pair.last for pair in found),
        )
        for identifier, found in by_account.items()
        if identifier
    ]
    return tuple(sorted((t for t in targets if t.addresses >= MANY_ADDRESSES), key=lambda target: -target.addresses))
