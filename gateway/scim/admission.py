"""Which tenant a request is for: its token says so, and nothing else. Cookies are ignored.

A tenant has 25 requests a second, counted for all workers together. A worker remembers for the rest of the second that
a token has had its share, so a flood costs no transactions.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.actions.action import Action, Actions, requester
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.memo import Memo
from gateway.scim import token_rows
from gateway.scim.answers import Refusal
from gateway.scim.token import key_of_header
from gateway.store import Store, Transaction
from gateway.throttle import limits
from gateway.throttle.limits import Limit, Locked
from gateway.web.visit import Visit

SCIM = "provisioning"  # who acts, in the audit log and in accounts.disabled_by
A_SECOND = Limit(failures=25, window_seconds=1, lock_seconds=1)
REMEMBERED = 1_000  # tokens
CHALLENGE = 'Bearer realm="SCIM"'


@dataclass(frozen=True, slots=True)
class Caller:
    """A provider that has shown a token of `tenant`; `key` is its SHA-256. `now` is UTC seconds."""

    tenant: str
    key: bytes
    inbound: Inbound
    now: int


class Admission:
    def __init__(self, store: Store, actions: Actions) -> None:
        self._store = store
        self._actions = actions
        self._busy = Memo[bytes, int](REMEMBERED)  # until when a token has no request left

    async def admit(self, visit: Visit) -> Caller:
        """Return the caller of a request, or raise Refusal."""
        given = visit.inbound.values(b"authorization")
        key = key_of_header(given[0]) if len(given) == 1 else None
        if key is None:
            raise unknown()
        if visit.now < (self._busy.recall(key) or 0):
            raise too_many()
        async with self._store.reading() as tx:
            token = await token_rows.find_good(tx, key, visit.now)
        if token is None:
            raise unknown()
        async with self._store.transaction() as tx:
            reserved = await limits.reserve(tx, f"scim:{token.tenant}", A_SECOND, visit.now)
            await token_rows.note_use(tx, token, visit.now)
        if isinstance(reserved, Locked):
            self._busy.put(key, reserved.until)
            raise too_many()
        return Caller(token.tenant, key, visit.inbound, visit.now)

    @contextlib.asynccontextmanager
    async def reading(self, caller: Caller) -> AsyncIterator[Transaction]:
        async with self._store.reading() as tx:
            yield tx

    @contextlib.asynccontextmanager
    async def begin(self, caller: Caller) -> AsyncIterator[Action]:
        """Begin a change. The token can't be revoked before it is committed. Raises Refusal if it was already."""
        async with self._actions.begin(requester(caller.inbound, by=SCIM, name=SCIM), caller.now) as action:
            if await token_rows.find_good(action.tx, caller.key, caller.now, lock=True) is None:
                raise unknown()
            yield action

    async def record(self, caller: Caller, refusal: Refusal, where: str) -> None:
        """Write down a refusal that has a reason."""
        if not refusal.reason:
            return
        async with self._actions.begin(requester(caller.inbound, by=SCIM, name=SCIM), caller.now) as action:
            details = {"reason": refusal.reason, "where": where}
            await action.record_about(Event.SCIM_REFUSED, caller.tenant, details)


def unknown() -> Refusal:
    return Refusal(401, "the token is unknown, expired or revoked", WWW_Authenticate=CHALLENGE)


def too_many() -> Refusal:
    return Refusal(429, "a company may send 25 requests a second", Retry_After="1")
