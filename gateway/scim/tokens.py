"""What a tenant's administrators do about provisioning: make a token, and revoke it. All of them are told by mail."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.accounts import rows as account_rows
from gateway.accounts.authors import is_admin
from gateway.actions.action import Action, Actions, requester
from gateway.model.clock import DAY
from gateway.model.event import Event
from gateway.model.inbound import Inbound
from gateway.model.moment import Moment
from gateway.model.secret import Secret
from gateway.model.session import Session
from gateway.scim import group_rows, token_rows, user_rows
from gateway.scim.token import make
from gateway.scim.token_rows import ProvisioningToken
from gateway.store import Store

MAX_TOKENS = 2  # the second is for the time in which a provider changes from one to the other
MAX_DAYS = 366
MAX_TOLD = 50  # administrators


class TokenProblem(Enum):
    TOO_MANY = "too_many"
    NOT_THERE = "not_there"


@dataclass(frozen=True, slots=True)
class Overview:
    """`users` and `groups` are how many the provider manages."""

    tokens: tuple[ProvisioningToken, ...]
    users: int
    groups: int

    @property
    def is_full(self) -> bool:
        return len(self.tokens) >= MAX_TOKENS


class TokenService:
    def __init__(self, store: Store, actions: Actions) -> None:
        self._store = store
        self._actions = actions

    async def look(self, tenant: str, now: int) -> Overview:
        async with self._store.reading() as tx:
            tokens = await token_rows.list_of(tx, tenant)
            good = tuple(token for token in tokens if token.is_good(now))
            return Overview(good, await user_rows.count(tx, tenant), await group_rows.count(tx, tenant))

    async def make(self, author: Session, days: int, inbound: Inbound, now: int) -> Secret[str] | TokenProblem:
        """Return a new token, which is shown once. It expires after `days`.

        NOT_THERE if the author is no administrator any more.
        """
        async with self._actions.begin(requester(inbound, author.id), now) as action:
            tx = action.tx
            if not await is_admin(tx, author):
                return TokenProblem.NOT_THERE
            await account_rows.lock_tenant(tx, author.tenant)
            tokens = await token_rows.list_of(tx, author.tenant)
            if sum(token.is_good(now) for token in tokens) >= MAX_TOKENS:
                return TokenProblem.TOO_MANY
            made = make()
            until = now + days * DAY
            token = await token_rows.add(tx, author.tenant, made, author.identifier, now, until)
            await action.record_own(Event.SCIM_TOKEN_CREATED, author, {"hint": token.hint, "days": days})
            told = author.tenant, "scim_token_created", author.name
            await tell(action, *told, hint=token.hint, until=Moment(until))
            return made

    async def revoke(self, author: Session, token_id: str, inbound: Inbound, now: int) -> TokenProblem | None:
        """Revoke a token: requests with it are refused from now on."""
        async with self._actions.begin(requester(inbound, author.id), now) as action:
            token = await token_rows.find(action.tx, token_id)
            if token is None or not await token_rows.remove(action.tx, token_id, author.tenant):
                return TokenProblem.NOT_THERE
            await action.record_own(Event.SCIM_TOKEN_REVOKED, author, {"hint": token.hint})
            await tell(action, author.tenant, "scim_token_revoked", author.name, hint=token.hint)
            return None


async def revoke(action: Action, token_id: str) -> ProvisioningToken | None:
    """Revoke a token of any tenant, as the operator. Returns the token, or None if there is none."""
    token = await token_rows.find(action.tx, token_id)
    if token is None or not await token_rows.remove(action.tx, token_id, token.tenant):
        return None
    await action.record_about(Event.SCIM_TOKEN_REVOKED, token.tenant, {"hint": token.hint})
    await tell(action, token.tenant, "scim_token_revoked", action.actor.name, hint=token.hint)
    return token


async def tell(action: Action, tenant: str, template: str, by: str, **more: str | int) -> None:
    """Mail all administrators, as the token can disable everybody."""
    for admin in (await account_rows.list_admins(action.tx, tenant))[:MAX_TOLD]:
        await action.notify(template, admin, by=by, **more)
