"""Attack detection: the current picture, the owner's responses, and the mail about a password spray."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from enum import Enum

from gateway.actions.action import Action, Actions, requester
from gateway.audit import rows as audit
from gateway.mail.outbox import Outbox
from gateway.model.entry import ACTOR, Entry, Outcome
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.moment import Moment
from gateway.model.networks import Network, is_within
from gateway.model.session import Session
from gateway.ops import attack, blocks, failed_passwords, rows
from gateway.ops.attack import LOOK_BACK_SECONDS, RECENT_SECONDS, Picture, Source, Target
from gateway.ops.blocks import Block
from gateway.ops.rows import Lock, Pair
from gateway.store import Store, Transaction
from gateway.throttle import limits
from gateway.throttle.side_work import SideWork

SHOWN = 5  # attackers and passwords: the page stays small during a large attack
SHOWN_TARGETS = 3
SHOWN_LOCKS = 5
SHOWN_BLOCKS = 6
MAILED = 20
MOST_LOCKS = 10_000
COUNTED_LOCKS = 2_000


class Unblockable(Enum):
    """Why a network is not blocked."""

    NO_NETWORK = "network"
    OWN = "own"


class AttackService:
    """`many` accounts within an hour count as a spray. `owners` are mailed; `ops_link` is the URL of their page."""

    def __init__(
        self,
        *,
        store: Store,
        actions: Actions,
        outbox: Outbox,
        side: SideWork,
        owners: frozenset[str],
        many: int,
        ops_link: str,
    ) -> None:
        self._store = store
        self._actions = actions
        self._outbox = outbox
        self._side = side
        self._owners = owners
        self._many = many
        self._ops_link = ops_link

    async def picture(self, now: int) -> Picture:
        """Return the attacks of the last hour, and what is locked and blocked now.

        The lockouts of each attack are counted among the COUNTED_LOCKS that last longest.
        """
        async with self._store.reading() as tx:
            pairs = await rows.list_failures(tx, now - LOOK_BACK_SECONDS)
            recent = await rows.list_failures(tx, now - RECENT_SECONDS) if pairs else []
            locks, locked = await rows.list_locks(tx, now, COUNTED_LOCKS), await rows.count_locks(tx, now)
            tried = await failed_passwords.most_tried(tx, now, self._many)
            blocked = await blocks.list_active(tx, now)
        sources, targets = await self._side.run(self._judge, recent, pairs, locks, blocked)
        return Picture(
            attack.state_of(sources, targets, tried, max((pair.last for pair in pairs), default=0), now),
            sources[:SHOWN],
            targets[:SHOWN_TARGETS],
            tuple(tried[:SHOWN]),
            tuple(locks[:SHOWN_LOCKS]),
            locked,
            tuple(sorted(blocked, key=lambda block: -block.created_at)[:SHOWN_BLOCKS]),
            len(blocked),
            len(sources[SHOWN:]) + len(targets[SHOWN_TARGETS:]),
        )

    def _judge(
        self, recent: list[Pair], pairs: list[Pair], locks: list[Lock], blocked: list[Block]
    ) -> tuple[tuple[Source, ...], tuple[Target, ...]]:
        """Return the attackers and the attacked, each with what is locked and blocked there."""
        by_place, by_account = attack.count_by_place(locks), attack.count_by_account(locks)
        newest, failures = attack.locate(recent), attack.locate(pairs)
        found = attack.find_sources(newest, failures, self._many)
        sources = (
            replace(source, locks=by_place[source.place], block=attack.covering(source.place, blocked))
            for source in found
        )
        targets = (
            replace(target, locks=by_account.get(target.identifier, 0))
            for target in attack.find_targets(newest, failures, found)
        )
        return tuple(sources), tuple(targets)

    # The owner's responses.

    async def unlock(self, owner: Session, key: str, inbound: Inbound, now: int) -> bool:
        """Clear a lockout by its key. Returns whether it was locked."""
        async with self._store.transaction() as tx:
            lock = next((lock for lock in await rows.list_locks(tx, now, MOST_LOCKS) if lock.key == key), None)
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
            failures = await rows.list_failures(tx, now - LOOK_BACK_SECONDS)
            sources = await self._side.run(attack.by_address, failures, self._many)
            tried = await failed_passwords.most_tried(tx, now, self._many)
            seen = {f"address:{address}": (accounts, address) for address, accounts in sources[:MAILED]}
            if tried and tried[0].accounts > max((accounts for _, accounts in sources), default=0):
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
                at=Moment(now - LOOK_BACK_SECONDS),
                ops_link=self._ops_link,
            )
